"""What a reader of a person's own files has to say about them: what is lost, what was repaired, what is worth knowing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from rtms_simulator.errors import MediaFileError

LOST_TEXT_SHOWN = 120
_WORD = re.compile(r"\S+")


class Remark(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing about a file, with its place: `line` (from 1) in a transcript, `at_s` (seconds from the start) in a recording.

    `lost`: words or sound of the file are not played (`lost_text`, `lost_s`). `repaired`: all is played, although the file breaks its
    own format. `note`: nothing is wrong, but a person wants to know it. The first two make a strict reader refuse the file.
    """

    kind: Literal["lost", "repaired", "note"]
    what: str
    line: int | None = None
    at_s: float | None = None
    lost_text: str = ""
    lost_s: float = 0.0
    more_words: int = 0
    """Lost words that are not in `lost_text`."""

    @property
    def lost_words(self) -> int:
        """Runs of characters between spaces."""
        return self.more_words + sum(1 for _word in _WORD.finditer(self.lost_text))

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else "" if self.at_s is None else f"at {self.at_s:.2f} s: "
        lost = ""
        if self.lost_text or self.more_words:
            text = " ".join(self.lost_text[: 8 * LOST_TEXT_SHOWN].split())
            cut = text[:LOST_TEXT_SHOWN] + "…" if len(text) > LOST_TEXT_SHOWN else text
            words = self.lost_words
            lost = f"; not played ({words:,} word{'s' * (words != 1)}): {cut}"
        elif self.lost_s and self.kind == "lost":
            lost = f"; not played: {self.lost_s:.2f} s"
        return f"{place}{self.what}{lost}"


def refuse_strictly(path: Path, remarks: Iterable[Remark], supported: tuple[str, ...]) -> None:
    """Raise MediaFileError if anything of the file is lost or had to be repaired."""
    wrong = [remark for remark in remarks if remark.kind != "note"]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise MediaFileError(path, f"{wrong[0]}{more}", supported, "repair the file, or leave --strict out to play what can be read.")
