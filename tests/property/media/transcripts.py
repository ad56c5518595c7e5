"""Transcripts as programs and people write them, made from a seed, and what editors, downloads and `cat` do to them.

Every spoken word is `w` and a number and `x`, unlike any other text here, so that it can be found again wherever it ends.
"""

from __future__ import annotations

import html
import random
import re
from collections import Counter
from collections.abc import Callable

WORD = re.compile(r"w\d+x")

NAMES = (
    "Ada Lovelace",
    "Grace",
    "\U0001f98a Ken",
    "+49 123 456****",
    "(ext) Zoë",
    "[IT] Otto",
    "_ada_",
    "@host",
    "# 7",
    "Ada & Grace",
    "محمد",
    "דנה",
    "山田 太郎",
    "N" * 70,
    "Dr. Ada Byron, PhD",
    "iPhone von Oma",
    "\u200fعمر",
)
SPICE = (
    "&amp;",
    "<b>",
    "</b>",
    "x<5",
    "y>3",
    "-->",
    "10:30",
    "Note:",
    "https://example.org/a:",
    "<00:00:01.500>",
    "\u202e",
    "é",
    "\U0001f642",
)
LINE_ENDS = ("\n", "\r\n", "\r")


class Maker:
    """One transcript."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._next = chance.randrange(1000)
        self.people = chance.sample(NAMES, chance.randint(1, 5))

    def words(self) -> str:
        """A line of speech."""
        said: list[str] = []
        for _ in range(self.chance.randint(1, 8)):
            self._next += 1
            said.append(f"w{self._next}x")
            if self.chance.random() < 0.15:
                said.append(self.chance.choice(SPICE))
        return self.chance.choice((" ", " ", "  ", "\t")).join(said)

    def moment(self, ms: int, mark: str) -> str:
        digits = self.chance.choice((f"{ms % 1000:03}", f"{ms % 1000:03}", f"{ms % 1000:03}000", f"{ms % 1000:03}"[:1]))
        hours = f"{ms // 3_600_000:02}:" if mark == "," or ms >= 3_600_000 or self.chance.random() < 0.8 else ""
        return f"{hours}{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{digits}"

    def captions(self, mark: str) -> str:
        """WebVTT (`.`) or SubRip (`,`)."""
        chance = self.chance
        numbered, named = mark == "," or chance.random() < 0.5, chance.choice(("head", "tag", "none", "zoom"))
        out = ["\ufeff" * (chance.random() < 0.2), "WEBVTT\n\n" if mark == "." else ""]
        at = chance.randrange(3_600_000)
        for number in range(1, chance.randint(2, 9)):
            if mark == "." and chance.random() < 0.1:
                out.append(chance.choice(("NOTE a comment\nof two lines\n\n", "STYLE\n::cue { color: red }\n\n", "NOTE\n\n")))
            who, length = chance.choice(self.people), chance.randint(0, 5000)
            identifier = f"{number}\n" if numbered else ""
            if named == "zoom":
                identifier = f'{number} "{who}" (16778240)\n'
            head = {"head": f"{html.escape(who, quote=False)}: ", "tag": f"<v {html.escape(who, quote=False)}>"}.get(named, "")
            settings = chance.choice(("", "", " line:79% align:center"))
            lines = "\n".join(self.words() for _ in range(chance.randint(1, 3)))
            out.append(f"{identifier}{self.moment(at, mark)} --> {self.moment(at + length, mark)}{settings}\n{head}{lines}\n\n")
            at += length + chance.randrange(2000)
        return "".join(out)

    def zoom_captions(self) -> str:
        chance = self.chance
        clock, at, marked = chance.choice((12, 24)), chance.randrange(86_400), chance.random() < 0.5
        out: list[str] = []
        for _ in range(chance.randint(1, 8)):
            hour = at // 3600 % clock
            marker = (" PM" if at // 43_200 % 2 else " AM") if clock == 12 and marked else ""
            head = f"[{chance.choice(self.people)}] {hour or clock % 24:02}:{at // 60 % 60:02}:{at % 60:02}{marker}"
            out.append(f"{head}\n{self.words()}\n\n")
            at += chance.choice((0, 3, 3600, -5))
        return "".join(out)

    def timed_lines(self) -> str:
        at, out = self.chance.randrange(3600), []
        for _ in range(self.chance.randint(1, 8)):
            who = self.chance.choice((f"{self.chance.choice(self.people)}: ", ""))
            out.append(f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02} {who}{self.words()}\n")
            at += self.chance.randint(1, 20)
        return "".join(out)

    def make(self) -> str:
        return self.chance.choice((lambda: self.captions("."), lambda: self.captions(","), self.zoom_captions, self.timed_lines))()


def _cut(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] if chance.random() < 0.7 else text[at:]


def _join(chance: random.Random, text: str) -> str:
    return text + chance.choice(("", "\n", "\n\n")) + Maker(chance).make()


def _lines(change: Callable[[random.Random, list[str], int], None]) -> Callable[[random.Random, str], str]:
    def changed(chance: random.Random, text: str) -> str:
        lines = text.split("\n")
        change(chance, lines, chance.randrange(len(lines)))
        return "\n".join(lines)

    return changed


def _drop(_chance: random.Random, lines: list[str], at: int) -> None:
    del lines[at]


def _double(_chance: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, lines[at])


def _blank(chance: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, chance.choice(("", " ", "\t")))


def _swap(chance: random.Random, lines: list[str], at: int) -> None:
    other = chance.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _glue(_chance: random.Random, lines: list[str], at: int) -> None:
    if at + 1 < len(lines):
        lines[at : at + 2] = [lines[at] + lines[at + 1]]


def _erase(chance: random.Random, text: str) -> str:
    """Some characters between two words go."""
    gaps = list(re.finditer(r"[^w\dx]+", text))
    if not gaps:
        return text
    gap = chance.choice(gaps)
    keep = chance.randrange(len(gap[0]))
    return text[: gap.start()] + gap[0][:keep] + " " + text[gap.end() :]


def _insert(chance: random.Random, text: str) -> str:
    odd = chance.choice(
        ("<", ">", "&", ":", "[", "]", "\0", "\n", "\r", " --> ", "\ufeff", "\u2028", "{", "WEBVTT", "NOTE ", "-", "00:00:0")
    )
    at = chance.choice([match.start() for match in re.finditer(r"\s|$", text)])
    return text[:at] + odd + text[at:]


MUTATIONS = (_cut, _join, _lines(_drop), _lines(_double), _lines(_blank), _lines(_swap), _lines(_glue), _erase, _insert)


def encoded(chance: random.Random, text: str) -> bytes:
    """The text in one of the encodings that reach people, here and there with bytes of another one between words."""
    if chance.random() < 0.25:
        text = text.replace("\n", chance.choice(LINE_ENDS))
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"))
    data = text.encode(encoding, "surrogatepass")
    if encoding == "utf-8" and chance.random() < 0.2:
        at = chance.choice([match.start() for match in re.finditer(rb"\s|$", data)])
        data = data[:at] + chance.choice((b"\xe9", b"\x96", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\xbd", b"\xff\xfe")) + data[at:]
    return data


def transcript(seed: int) -> tuple[str, bytes, str]:
    """(text, the file's bytes, suffix). Half of them are as they were written."""
    chance = random.Random(seed)
    text = Maker(chance).make()
    if seed % 2:
        for _ in range(chance.randint(1, 5)):
            text = chance.choice(MUTATIONS)(chance, text) or "\n"
    data, suffix = encoded(chance, text), chance.choice((".vtt", ".srt", ".txt"))
    if seed % 2 and chance.random() < 0.1:
        # Another program's file behind it, in whatever that program writes.
        other = Maker(chance).captions(".")
        text, data = f"{text}\n{other}", data + "\n".encode(_encoding_of(data)) + encoded(chance, other)
    return text, data, suffix


def _encoding_of(data: bytes) -> str:
    """Of what `encoded` gives, as far as an end of line needs it."""
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if data[:1] == b"\0" else "utf-8"


def words(text: str) -> Counter[str]:
    """Every word in a text."""
    return Counter(WORD.findall(text))
