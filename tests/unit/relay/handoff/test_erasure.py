"""Erasure: rounds, and who is alarmed when."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from rtms_relay import budgets
from rtms_relay.handoff import erasure as erasures
from rtms_relay.handoff.erasure import TRANSITIONS, TRIGGERS, Erasure, State, Trigger

NOW = 1_795_338_000_000
REVOKED = erasures.revoke(Erasure(), NOW, made_nothing=False)


def test_the_tables_name_every_state_and_trigger() -> None:
    assert {state for (before, _), after in TRANSITIONS.items() for state in (before, after)} == set(get_args(State))
    assert {trigger for _, trigger in TRANSITIONS} == set(get_args(Trigger)) == set(TRIGGERS)


def test_what_made_nothing_is_forgotten_at_once() -> None:
    assert erasures.revoke(Erasure(), NOW, made_nothing=True) == Erasure(state="forgotten", since=NOW)
    assert erasures.revoke(REVOKED, NOW + 9, made_nothing=True) == REVOKED


def test_after_the_deletion_it_is_looked_for_five_times_more() -> None:
    erasure, now, rounds = REVOKED, NOW, 0
    while erasure.at is not None:
        now, rounds = erasure.at, rounds + 1
        erasure = erasures.after_round(erasure, ("r",) if rounds == 1 else (), clean=True, accepted=True, now=now)
        assert erasure.state == "forgotten"
    assert (rounds, now - NOW) == (6, sum(budgets.RECHECKS_MS))


def test_a_round_that_failed_is_tried_again_in_a_minute_and_alarms_after_an_hour_daily() -> None:
    erasure, now, alarms = REVOKED, NOW, []
    while now < NOW + 3 * budgets.DAY_MS:
        erasure = erasures.after_round(erasure, (), clean=False, accepted=True, now=now)
        if why := erasures.alarm(erasure, accepted=True, now=now):
            assert "refused" in why
            alarms.append(now - NOW)
            erasure = erasures.alarmed(erasure, now)
        assert erasure.at == now + budgets.ERASE_AGAIN_MS
        now = erasure.at
    assert erasure.state == "forgetting"
    assert alarms == [3_600_000, 3_600_000 + budgets.DAY_MS, 3_600_000 + 2 * budgets.DAY_MS]


def test_what_recall_accepted_and_nobody_saw_is_never_forgotten_and_alarms_after_a_day() -> None:
    erasure, alarms = REVOKED, []
    for _ in range(9):
        assert erasure.at is not None
        now = erasure.at
        erasure = erasures.after_round(erasure, (), clean=True, accepted=True, now=now)
        assert erasure.state == "forgetting"
        if why := erasures.alarm(erasure, accepted=True, now=now):
            assert "no recording of it was seen" in why
            alarms.append(now - NOW)
            erasure = erasures.alarmed(erasure, now)
    assert alarms[0] == budgets.ERASE_UNSEEN_MS
    assert len(alarms) >= 2
    seen = erasures.after_round(erasure, ("r",), clean=True, accepted=True, now=NOW)
    assert seen.state == "forgotten"


@pytest.mark.parametrize("trigger", ["posted", "announced"])
def test_what_appears_later_begins_it_again(trigger: Trigger) -> None:
    done = Erasure(state="forgotten", since=NOW, rounds=6)
    again = erasures.resume(done, trigger, NOW + 5)
    assert (again.state, again.at, again.rounds) == ("forgetting", NOW + 5, 0)
    assert erasures.resume(Erasure(), trigger, NOW) == Erasure()


def test_a_new_erasure_is_none() -> None:
    assert msgspec.to_builtins(Erasure()) == {
        "state": "none",
        "since": 0,
        "at": None,
        "rounds": 0,
        "deleted": (),
        "refused_since": None,
        "alerted_at": None,
    }


def test_a_failing_round_keeps_since_when_and_a_clean_one_ends_it() -> None:
    once = erasures.after_round(REVOKED, ("b",), clean=False, accepted=True, now=NOW + 1)
    twice = erasures.after_round(once, ("a", "b"), clean=False, accepted=True, now=NOW + 2)
    assert (once.refused_since, twice.refused_since, twice.rounds, twice.state) == (NOW + 1, NOW + 1, 0, "forgetting")
    assert (once.at, twice.at, twice.deleted) == (NOW + 60_001, NOW + 60_002, ("a", "b"))
    clean = erasures.after_round(twice, (), clean=True, accepted=True, now=NOW + 3)
    assert (clean.refused_since, clean.state, clean.rounds, clean.at) == (None, "forgotten", 1, NOW + 60_003)


def test_what_nobody_saw_is_looked_for_ever_more_rarely_and_at_the_moment_of_its_alarm() -> None:
    erasure, now, pauses = REVOKED, NOW, []
    for _ in range(8):
        erasure = erasures.after_round(erasure, (), clean=True, accepted=True, now=now)
        assert erasure.at is not None
        pauses.append(erasure.at - now)
        now = erasure.at
    day = 86_400_000
    to_alarm = day - (60_000 + 600_000 + 3_600_000 + 21_600_000)
    assert pauses == [60_000, 600_000, 3_600_000, 21_600_000, to_alarm, day, day, day]
    assert erasure.rounds == 8
    # The alarm's moment is planned for only if it lies before the next look.
    for since, at in ((NOW - day, NOW + 60_000), (NOW - day + 60_000, NOW + 60_000), (NOW - day + 59_999, NOW + 59_999)):
        planned = erasures.after_round(Erasure(state="forgetting", since=since), (), clean=True, accepted=True, now=NOW)
        assert planned.at == at


def test_an_alarm_comes_at_its_moment_and_again_after_a_day() -> None:
    hour, day = 3_600_000, 86_400_000
    refused = Erasure(state="forgetting", since=NOW, refused_since=NOW)
    text = "the deletion of a revoked recording is refused for an hour or more"
    assert [erasures.alarm(refused, accepted=False, now=NOW + after) for after in (hour - 1, hour)] == ["", text]
    told = erasures.alarmed(refused, NOW + hour)
    assert told.alerted_at == NOW + hour
    assert [erasures.alarm(told, accepted=False, now=NOW + hour + after) for after in (day - 1, day)] == ["", text]
    unseen = Erasure(state="forgetting", since=NOW)
    words = "Recall accepted a stream that was revoked, and no recording of it was seen within a day: look there for it"
    assert [erasures.alarm(unseen, accepted=True, now=NOW + after) for after in (day - 1, day)] == ["", words]
    assert erasures.alarm(unseen, accepted=False, now=NOW + day) == ""
    assert erasures.alarm(Erasure(state="forgetting", since=NOW, deleted=("r",)), accepted=True, now=NOW + day) == ""
    assert erasures.alarm(Erasure(state="forgotten", since=NOW, refused_since=NOW), accepted=True, now=NOW + day) == ""
