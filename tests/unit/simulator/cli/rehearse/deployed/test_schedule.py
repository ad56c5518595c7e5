"""Cron, as far as the program uses it."""

from __future__ import annotations

import pytest

from rtms_simulator.cli.rehearse.deployed.schedule import ScheduleError, every

THREE_AM = 3 * 3600.0


@pytest.mark.parametrize(
    ("cron", "now", "period_s", "first_s"),
    [
        ("* * * * *", 30.0, 60.0, 30.0),
        ("*/5 * * * *", 60.0, 300.0, 240.0),
        ("17 * * * *", 0.0, 3600.0, 17 * 60.0),
        ("17 3 * * *", THREE_AM, 86_400.0, 17 * 60.0),
        ("17 3 * * *", THREE_AM + 18 * 60, 86_400.0, 86_400.0 - 60.0),
    ],
)
def test_a_schedule_that_is_read(cron: str, now: float, period_s: float, first_s: float) -> None:
    assert every(cron, "Etc/UTC", now) == (period_s, first_s)


@pytest.mark.parametrize(
    ("cron", "zone"), [("* * * * 1", "UTC"), ("* * 1 * *", "UTC"), ("17 3 * * *", "Europe/Berlin"), ("* 3 * * *", "UTC"), ("often", "UTC")]
)
def test_another_one_is_an_error(cron: str, zone: str) -> None:
    with pytest.raises(ScheduleError):
        every(cron, zone, 0.0)
