"""Moments as people and programs write them: `1:02.5`, `00:00:01,46`, `02:03:04 PM`, and the clock on the wall that begins again."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

_TIME = re.compile(r"(?:(\d{1,6}):)?(\d{1,4}):(\d{1,2})(?:[.,:;\u066b\u066c](\d+))?")
_ARROWS = ("-->", "--&gt;", "->", "\u2013>", "\u2014>", "\u2192")
_SETTING = re.compile(
    r"(?:line|position|size):-?[\d.]+%?(?:,[a-z-]+)?|align:(?:start|center|middle|end|left|right)|vertical:(?:rl|lr)|region:\S+|[XY][12]:\d+"
)

_WORD = re.compile(r"\S+")

DAY_MS = 86_400_000
HALF_DAY_MS = DAY_MS // 2

MARKER = r"(?:[AaPp]\.?\s?[Mm]\.?|上午|下午|午前|午後|오전|오후)"
DATE = r"(?P<date>\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})(?:T|,?\s+)"
CLOCK = (
    rf"(?:{DATE})?(?:(?P<before>{MARKER})\s?)?"
    rf"(?P<h>\d{{1,3}}):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<fraction>\d+))?)?(?:\s?(?P<after>{MARKER}))?"
)
"""A moment in a text file, perhaps with its date, as a part of a regular expression."""


class Timing(NamedTuple):
    """A line with an arrow. A moment that cannot be read is None, and as written in `unread`; `rest` follows the end and is no setting."""

    start_ms: int | None
    end_ms: int | None
    rest: str
    unread: str = ""


class TimeCode(NamedTuple):
    """A moment of a text file in ms, and whether it was written as one on the wall: with AM, PM or a date."""

    ms: int
    marked: bool


def fraction_ms(digits: str | None) -> int:
    """`5` is 500 ms, `46` is 460 ms, `4567` is 457 ms."""
    return round(int(digits[:9]) * 1000 / 10 ** len(digits[:9])) if digits else 0


def timing(line: str) -> Timing | None:
    """What an arrow line says, or None for a line of speech. Minutes and seconds above 59 are counted as they are."""
    arrow = next((arrow for arrow in _ARROWS if arrow in line), None)
    if arrow is None:
        return None
    left, _, right = line.partition(arrow)
    left, right = left.strip(), right.lstrip(">").strip()
    begins, ends = _TIME.fullmatch(left), _TIME.match(right)
    first, behind = [*right.split(None, 1), "", ""][:2]
    rest = _without_settings(right[ends.end() :] if ends else behind)
    if begins and ends:
        return Timing(_ms(begins), _ms(ends), rest)
    if arrow != "-->" or not _broken(left, first):
        return None
    # One side cannot be read, as where a file was cut; words on either side would have made it speech.
    unread = " ".join(side for side, moment in ((left, begins), (first, ends)) if not moment)
    return Timing(_ms(begins), _ms(ends), rest, unread.strip())


def _without_settings(text: str) -> str:
    """What follows a caption's settings (`line:79% align:center`): words that somebody put there."""
    words = _WORD.finditer(text)
    start = next((word.start() for word in words if not _SETTING.fullmatch(word[0])), len(text))
    return text[start:].strip()


def _broken(left: str, right: str) -> bool:
    """Whether the two sides of an arrow are moments of which one or both cannot be read."""
    left = left.removeprefix("-")
    if not (left or right) or " " in left or ":" not in left + right:
        return False
    return all(not side or side[0].isdigit() for side in (left, right))


def _ms(match: re.Match[str] | None) -> int | None:
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups()
    return int(hours or 0) * 3_600_000 + int(minutes) * 60_000 + int(seconds) * 1000 + fraction_ms(fraction)


def clock(match: re.Match[str]) -> TimeCode:
    """The moment in a match of CLOCK. Two numbers are minutes and seconds, unless AM, PM or a date makes them hours and minutes."""
    marker = match["before"] or match["after"]
    first, second = int(match["h"]), int(match["m"])
    if marker is None and match["date"] is None:
        if match["s"] is None:
            return TimeCode(first * 60_000 + second * 1000, marked=False)
        return TimeCode(first * 3_600_000 + second * 60_000 + int(match["s"]) * 1000 + fraction_ms(match["fraction"]), marked=False)
    afternoon = marker is not None and (marker[0] in "Pp" or marker in ("下午", "午後", "오후"))
    hours = first % 12 + 12 * afternoon if marker is not None and first <= 12 else first
    hours += 24 * _day(match["date"])
    return TimeCode(hours * 3_600_000 + second * 60_000 + int(match["s"] or 0) * 1000 + fraction_ms(match["fraction"]), marked=True)


def _day(date: str | None) -> int:
    """The number of a day; 0 where nobody can tell the day from the month, so that the clock runs on from line to line."""
    try:
        return dt.date.fromisoformat(date).toordinal() if date else 0
    except ValueError:
        return 0


def run_on(moments: Sequence[TimeCode]) -> list[int]:
    """Moments in the order in which they are written, in ms, counted from the start of the meeting.

    A clock begins again after twelve hours (all of them from 1 to 12 o'clock, no AM or PM) or after a day: each moment is taken on the
    side of that jump that is nearest to the one before, so that captions a little out of order do not make a day. Hours of 24 and above
    are no clock. Inferred: an earliest moment of an hour or more, AM or PM, or a clock that begins again is the one on the wall, and
    times count from the earliest.
    """
    marked = any(moment.marked for moment in moments)
    period = _period_ms(moments, marked=marked)
    continued: list[int] = []
    for moment in moments:
        now = moment.ms
        if continued and period:
            now += round((continued[-1] - now) / period) * period
        continued.append(now)
    earliest = min(continued, default=0)
    begun_again = any(now != moment.ms for now, moment in zip(continued, moments, strict=True))
    origin = earliest if marked or begun_again or earliest >= 3_600_000 else 0
    return [now - origin for now in continued]


def _period_ms(moments: Sequence[TimeCode], *, marked: bool) -> int:
    """After how long the clock begins again; 0 for times that are no clock's."""
    hours = [moment.ms // 3_600_000 for moment in moments]
    if any(hour >= 24 for hour in hours):
        return 0
    return DAY_MS if marked or any(hour < 1 or hour > 12 for hour in hours) else HALF_DAY_MS
