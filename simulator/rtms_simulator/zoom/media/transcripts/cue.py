"""What every reader of transcripts gives: cues in the order of time, and remarks on what the file holds besides."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtms_simulator.zoom.media.remarks import Remark

CHARACTERS_PER_S = 14
"""How fast people speak, where a file does not say when a line ends."""
SHORTEST_MS = 200
LONGEST_TEXT = 200_000
"""Characters of one caption. No client reads an RTMS message of more than that."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of a transcript. `speaker` is None when the file does not say; `line` is where its times are written, from 1."""

    start_ms: int
    end_ms: int
    speaker: str | None
    text: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript as read: `form` is how it is written (`WebVTT`, `SubRip`, `Zoom captions`, `timed lines`)."""

    form: str
    cues: tuple[Cue, ...]
    remarks: tuple[Remark, ...]

    def speakers(self) -> tuple[str, ...]:
        """The names, as first written, in the order in which they speak."""
        names: dict[str, None] = {}
        for cue in self.cues:
            if cue.speaker is not None:
                names.setdefault(cue.speaker)
        return tuple(names)


def time_to_say(text: str) -> int:
    """Milliseconds, at least one second."""
    return max(1000, len(text) * 1000 // CHARACTERS_PER_S)


def fitting(text: str, line: int, remarks: list[Remark]) -> str:
    """The text, or as many whole words of it as one caption can hold; the rest is said to be lost."""
    if len(text) <= LONGEST_TEXT:
        return text
    cut = next((at for at in range(LONGEST_TEXT, LONGEST_TEXT // 2, -1) if text[at].isspace()), LONGEST_TEXT)
    remarks.append(Remark("lost", f"a caption of more than {LONGEST_TEXT:,} characters", line=line, lost_text=text[cut:]))
    return text[:cut]
