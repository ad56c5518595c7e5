"""The part of cron that the program's schedules use: every minute, every N minutes, once an hour, once a day. Anything else is an error."""

from __future__ import annotations

import re


class ScheduleError(Exception):
    """A schedule that is not read here."""


DAY_S, HOUR_S, MINUTE_S = 86_400.0, 3600.0, 60.0
_CRON = re.compile(r"(?:(\*)(?:/(\d{1,2}))?|(\d{1,2})) (?:(\*)|(\d{1,2})) \* \* \*")


def every(cron: str, time_zone: str, now: float) -> tuple[float, float]:
    """(seconds between two runs, seconds from `now` to the first). Raises `ScheduleError`."""
    match = _CRON.fullmatch(" ".join(cron.split()))
    if match is None or time_zone not in ("Etc/UTC", "UTC") or (match[1] and match[5]):
        raise ScheduleError(f"the schedule {cron!r} in {time_zone} is neither each N minutes, each hour nor once a day in UTC")
    if match[1]:
        period = MINUTE_S * int(match[2] or 1)
        return period, period - now % period
    if match[4]:
        return HOUR_S, (int(match[3]) * MINUTE_S - now) % HOUR_S
    return DAY_S, (int(match[5]) * HOUR_S + int(match[3]) * MINUTE_S - now) % DAY_S
