"""WebVTT and SubRip, block by block, as WebVTT's own parser does it (W3C WebVTT 1, section 6.1), and more patient than that.

Where WebVTT's rules throw words away (a blank line inside a caption, text without times) they are kept, or it is said that they are lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtms_simulator.zoom.media.remarks import Remark
from rtms_simulator.zoom.media.transcripts.times import Timing, timing

SIGNATURE = "WEBVTT"
_COMMENT = re.compile(r"NOTE(?:[ \t]|$)")
_SHEETS = ("STYLE", "REGION")
_SHEET_LINE = re.compile(r"::cue|[\w-]+\s*:\s*[^:;{}]+;|\b(?:id|width|lines|viewportanchor|regionanchor|scroll)[:=]\S")
_HEADER_LINE = re.compile(r"(?:Kind|Language|X-TIMESTAMP-MAP)\s*[:=]", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|[\d:.,\s>-]*[:>][\d:.,\s>-]*")
_ZOOM_SPEAKER = re.compile(r'\d+\s+"(?P<name>.+)"(?:\s+\(\d+\))?')

Line = tuple[int, str]


@dataclass(slots=True)
class CaptionBlock:
    """Times and lines of one caption as written. A moment that cannot be read is None."""

    line: int
    start_ms: int | None
    end_ms: int | None
    speaker: str | None = None
    payload: list[Line] = field(default_factory=list)


class Captions:
    """The captions among lines of a file, in the order in which they are written; `remarks` grows on the way."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.remarks: list[Remark] = []
        self.captions: list[CaptionBlock] = []
        self._block: list[Line] = []  # since the last blank line or timing, outside of a caption
        self._open: CaptionBlock | None = None  # the caption to which the next line belongs
        self._seen_signature = False
        self._identifiers: list[Line] = []
        self._comments: list[Line] = []
        for number, line in enumerate(lines, 1):
            self._take(number, line)
        self._end_block()
        if self.captions and not self.captions[-1].payload:
            self.remarks.append(Remark("repaired", "the last caption has no words; the file may be cut", line=self.captions[-1].line))
        self._judge_identifiers()
        if self._comments:
            text = "\n".join(line for _number, line in self._comments)
            self.remarks.append(Remark("note", "comments and style sheets", line=self._comments[0][0], lost_text=text))

    def _take(self, number: int, line: str) -> None:
        if not line or line.isspace():
            self._end_block()
            return
        if self._open is not None and self._open.payload and line.strip() == SIGNATURE:
            self._end_block()  # a second file, joined to the first without a blank line
        times = timing(line) if ">" in line or "\u2192" in line else None
        if times is not None:
            self._begin(number, line, times)
            return
        if "-->" in line:
            self.remarks.append(Remark("repaired", "an arrow (-->) in the text; read as speech", line=number))
        if self._open is not None:
            self._open.payload.append((number, line))
        else:
            self._block.append((number, line))

    def _begin(self, number: int, line: str, times: Timing) -> None:
        identifier = self._identifier()
        if self._open is not None:
            self.remarks.append(Remark("repaired", "no blank line before this caption", line=number))
        elif self._block:
            self._end_block()
        caption = CaptionBlock(number, times.start_ms, times.end_ms)
        if identifier and (named := _ZOOM_SPEAKER.fullmatch(identifier.strip())):
            caption.speaker = named["name"]
        if times.start_ms is None or times.end_ms is None:
            side = "start" if times.start_ms is None else "end"
            what = f"the {side} cannot be read in {line.strip()[:60]!r}; it is estimated"
            self.remarks.append(Remark("repaired", what, line=number, lost_text=times.unread))
        if times.start_ms is not None and times.end_ms is not None and times.end_ms < times.start_ms:
            self.remarks.append(Remark("repaired", "ends before it begins; its end is estimated", line=number))
        if times.rest:
            self.remarks.append(Remark("repaired", "text on the line of the times; read as speech", line=number))
            caption.payload.append((number, times.rest))
        self.captions.append(caption)
        self._open = caption

    def _identifier(self) -> str | None:
        """Take the line before the times off what it stands in, if it is the caption's identifier."""
        if self._open is not None:
            # Without a blank line in between only the number that is due is no speech (SubRip).
            payload = self._open.payload
            due = {str(len(self.captions)), str(len(self.captions) + 1)}
            return payload.pop()[1] if payload and payload[-1][1].strip() in due else None
        if not self._block or not self._may_identify(self._block[-1][1]):
            return None
        number, text = self._block.pop()
        if not text.strip().isdigit() and not _ZOOM_SPEAKER.fullmatch(text.strip()):
            self._identifiers.append((number, text))
        return text

    def _may_identify(self, text: str) -> bool:
        """Whether the last line of the block before the times is no part of a header or comment, and no words either."""
        if text.startswith((SIGNATURE, "NOTE")):
            return False
        if len(self._block) > 1 and not text.strip().isdigit():
            return False  # WebVTT: an identifier is the first line of its block
        without_words = self.captions and not self.captions[-1].payload
        return not without_words or _NUMBER.fullmatch(text.strip()) is not None  # else: a caption, a blank line, then its words

    def _end_block(self) -> None:
        block, self._block, self._open = self._block, [], None
        if not block:
            return
        number, first = block[0]
        if first.lstrip().startswith(SIGNATURE):
            self._header(block)
        elif _COMMENT.match(first) or self._is_sheet(block):
            self._comments += block
        elif all(_NUMBER.fullmatch(line.strip()) for _number, line in block):
            self._lose(block, "a number or a time without a caption")
        elif self.captions:
            self.remarks.append(Remark("repaired", "a blank line inside a caption; read as its words", line=number))
            self.captions[-1].payload += block
        else:
            self._lose(block, "text before the first caption")

    def _is_sheet(self, block: list[Line]) -> bool:
        """Whether it is a style sheet or a region. WebVTT has them before the first caption only; further down they must look like one."""
        if block[0][1].strip() not in _SHEETS:
            return False
        return not self.captions or any(_SHEET_LINE.search(line) for _number, line in block[1:])

    def _header(self, block: list[Line]) -> None:
        if self.captions or self._seen_signature:
            self.remarks.append(Remark("repaired", "a second WebVTT file begins; its times are taken as written", line=block[0][0]))
        self._seen_signature = True
        title = block[0][1].lstrip().removeprefix(SIGNATURE).strip()
        if title:
            self.remarks.append(Remark("note", "a title behind WEBVTT", line=block[0][0], lost_text=title))
        self._lose([line for line in block[1:] if not _HEADER_LINE.match(line[1])], "text in the header")

    def _lose(self, block: list[Line], why: str) -> None:
        if block:
            self.remarks.append(Remark("lost", why, line=block[0][0], lost_text="\n".join(line for _number, line in block)))

    def _judge_identifiers(self) -> None:
        """Identifiers of words are the program's if most captions have one; a few among captions without are speech out of place."""
        if not self._identifiers:
            return
        texts = "\n".join(text for _number, text in self._identifiers)
        if len(self._identifiers) * 2 > len(self.captions):
            self.remarks.append(Remark("note", "captions have identifiers", line=self._identifiers[0][0], lost_text=texts))
            return
        for number, text in self._identifiers:
            self.remarks.append(Remark("lost", "stands where a caption's identifier is", line=number, lost_text=text))
