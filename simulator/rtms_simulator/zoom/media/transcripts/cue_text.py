"""The text of one caption: tags and entities out, voices apart (W3C WebVTT 1, section 6.4), everything else kept as written.

WebVTT takes every `<` for a tag and throws away what it does not know. Here only what is a tag in earnest is one, so that
`x<5 and y>3` and `<ada@example.org>` stay.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from rtms_simulator.zoom.media.transcripts.names import clean_name

_MARK = r"(?:b|i|u|c|s|em|strong|ruby|rt|v|lang|font|span|p|div)"
_ATTRIBUTE = r"""(?:\s+[\w-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))"""
_TAG = re.compile(
    rf"""<v(?:\.[^\s<>.]*)*(?:\s+(?P<voice>[^<>]*))?>
    |(?P<end></v\s*>)
    |(?P<break><br\s*/?>)
    |</{_MARK}\s*>
    |<{_MARK}(?:\.[^\s<>.]+)*\s*/?>
    |<lang(?:\.[^\s<>.]+)*\s+[\w-]+\s*>
    |<(?:font|span|p|div){_ATTRIBUTE}+\s*/?>
    |<(?:\d+:)?\d\d:\d\d[.,]\d+>
    |\{{\\[\w&(),.\\*-]*\}}""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(slots=True)
class Voice:
    """What one voice says in a caption. `speaker` is None where no tag names one; `lines` as written, tags and entities out."""

    speaker: str | None
    lines: list[str]
    tagged: bool = False

    def written(self) -> list[str]:
        """The lines that are not blank, without the spaces around them."""
        return [line.strip() for line in self.lines if line and not line.isspace()]


def voices(text: str) -> list[Voice]:
    """The voices of a caption's text in their order; one with a name may have no words. Words after a `</v>` belong to its voice."""
    if "<" not in text and "{" not in text:
        return [Voice(None, html.unescape(text).split("\n") if "&" in text else text.split("\n"))]
    spoken = [Voice(speaker, text.split("\n"), tagged) for speaker, tagged, text in _apart(text)]
    return [voice for voice in spoken if voice.speaker or voice.written()]


def _apart(text: str) -> list[tuple[str | None, bool, str]]:
    """(speaker, whether a tag begins it, text) of each voice, empty ones too."""
    apart: list[tuple[str | None, bool, list[str]]] = [(None, False, [])]
    at = 0
    for match in _TAG.finditer(text):
        apart[-1][2].append(html.unescape(text[at : match.start()]))
        at = match.end()
        if match["break"]:
            apart[-1][2].append("\n")
        elif match[0][1:2] in "vV" and match["end"] is None:
            apart.append((clean_name(html.unescape(match["voice"] or "")), True, []))
    apart[-1][2].append(html.unescape(text[at:]))
    return [(speaker, tagged, "".join(parts)) for speaker, tagged, parts in apart]
