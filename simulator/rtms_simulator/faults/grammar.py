"""The one language of faults, for the command line, scenarios, the control plane and the sandbox (pure).

::

    TARGET: STEP [then STEP] ...
    STEP  = WORD [VALUE] [SETTING=VALUE] [FLAG] [xN]

`recall.create: 503 retry-after=7 x2 then ok` acts on the next two requests and leaves the third alone. `xN` repeats a step, `x*`
repeats it until the fault is cleared. The part of a target after its family is a pattern: `zoom.webhook.*.rtms_stopped`. A value with
blanks stands in quotes. A step of a running stream happens at a moment of the meeting (`at=3s`) and a state of a queue lasts for a
time; neither is repeated.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase
from typing import Literal

FOREVER = -1
"""`Step.times` of `x*`."""

MOST_TIMES = 1_000_000
MOST_SECONDS = 100 * 366 * 86_400
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
OK = "ok"
STATUS = "<status>"
"""The word of a step that is an HTTP status."""

Value = int | float | str | bool | None


class SettingType(Enum):
    """What a setting takes."""

    DURATION = "a duration such as 5s, 250ms or 2m"
    WHOLE = "a whole number"
    FRACTION = "a number"
    TEXT = "a text"
    FLAG = "nothing: its name alone sets it"


class Occasion(Enum):
    """What a family's steps are used up by."""

    EACH = "each time something matches"
    MOMENT = "a moment of the meeting"
    STATE = "the time that it lasts"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a word. `least` and `most` bound numbers; durations are in seconds."""

    type: SettingType
    default: Value
    says: str
    allowed: tuple[str, ...] = ()
    least: float = 0
    most: float = MOST_SECONDS

    def read(self, text: str) -> Value:
        """The value that `text` writes. Raises ValueError with what is allowed."""
        if self.allowed and text not in self.allowed:
            raise ValueError(f"{did_you_mean(text, self.allowed)}allowed: {', '.join(self.allowed)}")
        if self.type in (SettingType.TEXT, SettingType.FLAG):
            return text
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
        if (
            match is None
            or (match[2] is not None) != (self.type is SettingType.DURATION)
            or (self.type is SettingType.WHOLE and "." in text)
        ):
            raise ValueError(f"{self.type.value} was expected")
        value = float(match[1]) * UNITS[match[2]] if match[2] else float(match[1])
        if not self.least <= value <= self.most:
            raise ValueError(f"allowed: {self.least:g} to {self.most:g}")
        return int(value) if self.type is SettingType.WHOLE else value

    def write(self, value: Value) -> str:
        """As `read` reads it."""
        if isinstance(value, float):
            text = f"{value:.9g}"
            return (
                f"{value:.0f}s"
                if "e" in text and self.type is SettingType.DURATION
                else text + ("s" if self.type is SettingType.DURATION else "")
            )
        return str(value)


@dataclass(frozen=True, slots=True)
class FaultWord:
    """One misbehaviour. `value` names the setting that may be written without its name: `late 5s`."""

    says: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    value: str = ""
    only: str = ""
    """The one target it is possible for, as a pattern; empty: every target of the family."""


@dataclass(frozen=True, slots=True)
class Family:
    """The targets that begin with `prefix`, and the words that fit them.

    `name` says what stands after the prefix (`event`); empty: the prefix is the target. `known` are all names there are; empty: any.
    """

    vendor: Literal["zoom", "recall", "tasks"]
    prefix: str
    name: str
    says: str
    words: Mapping[str, FaultWord]
    occasion: Occasion = Occasion.EACH
    known: Collection[str] = ()

    def target(self, *names: str) -> tuple[str, ...]:
        """The full targets of something that has these names."""
        return tuple(f"{self.prefix}.{name}" for name in names) if self.name else (self.prefix,)

    def takes(self, target: str) -> bool:
        """Whether the target begins with the prefix and names something."""
        if not self.name:
            return target == self.prefix
        return target.startswith(f"{self.prefix}.") and target != f"{self.prefix}."

    @property
    def form(self) -> str:
        """How its targets are written: `zoom.webhook.<event>`."""
        return f"{self.prefix}.<{self.name}>" if self.name else self.prefix

    @property
    def all_words(self) -> tuple[str, ...]:
        return (*self.words, OK) if self.occasion is Occasion.EACH else tuple(self.words)


@dataclass(frozen=True, slots=True)
class Step:
    """One misbehaviour with its settings, defaults filled in."""

    word: str
    times: int = 1
    settings: Mapping[str, Value] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A numeric setting; durations in seconds."""
        value = self.settings[name]
        assert isinstance(value, int | float)
        return float(value)

    def text(self, name: str) -> str:
        """A setting as text; empty if it has no value."""
        value = self.settings.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        return self.settings.get(name) is True


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it acts, and its steps in order. `faults.parse` makes it of a text; `str()` writes what `parse` reads."""

    family: Family
    target: str
    steps: tuple[Step, ...]

    def matches(self, targets: Iterable[str]) -> bool:
        return any(fnmatchcase(target, self.target) for target in targets)

    def __str__(self) -> str:
        return f"{self.target}: {' then '.join(_written(self.family, step) for step in self.steps)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X? ` or nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""


def family_of(target: str, families: Iterable[Family]) -> Family | None:
    """The family with the longest prefix that fits."""
    return max((one for one in families if one.takes(target)), key=lambda one: len(one.prefix), default=None)


def _written(family: Family, step: Step) -> str:
    word = family.words.get(step.word, FaultWord("nothing"))
    parts = [step.text("status") if step.word == STATUS else step.word]
    for key, row in word.settings.items():
        value = step.settings[key]
        if value == row.default or (step.word == STATUS and key == "status"):
            continue
        if row.type is SettingType.FLAG:
            parts.append(key)
        else:
            text = shlex.quote(row.write(value))
            parts.append(text if key == word.value else f"{key}={text}")
    if step.times != 1:
        parts.append("x*" if step.times == FOREVER else f"x{step.times}")
    return " ".join(parts)
