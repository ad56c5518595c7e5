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
