"""The attempt: every transition of the table, leases and pauses to the millisecond, the ends of the window."""

from __future__ import annotations

import itertools
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from rtms_relay import budgets
from rtms_relay.budgets import Rules
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff.answers import outcome
from rtms_relay.handoff.attempt import TRANSITIONS, TRIGGERS, Attempt, Situation, State, Trigger, Wait
from rtms_relay.handoff.keys import Keys

NOW = 1_795_338_000_000
RULES = Rules()
FRESH = Attempt(start_ts=NOW, state_at=NOW, next_at=NOW)
ALONE = Situation(newest=True, start_ts=NOW)
ELSEWHERE = Situation(newest=False, start_ts=NOW)
END = NOW + RULES.connect_window_ms


def tried(*given: tuple[int, str | None], state: str = "pending", now: int = NOW) -> Attempt:
    attempt = replace(FRESH, state=state)
    for number, (status, failure) in enumerate(given, start=1):
        attempt = attempts.begin(attempt, now, RULES)
        attempt = attempts.after_answer(attempt, number, outcome(status, failure, None), now, 0.5, RULES)
    return attempt


def test_the_tables_name_every_state_and_trigger() -> None:
    assert {state for (before, _), after in TRANSITIONS.items() for state in (before, after)} == set(get_args(State))
    assert {trigger for _, trigger in TRANSITIONS} == set(get_args(Trigger)) == set(TRIGGERS)


@pytest.mark.parametrize(("before", "trigger"), list(TRANSITIONS))
def test_every_transition_takes_place(before: State, trigger: Trigger) -> None:
    attempt = attempts.move(replace(FRESH, state=before), trigger, NOW + 5, "why")
    assert (attempt.state, attempt.state_at, attempt.reason, attempt.next_at) == (TRANSITIONS[before, trigger], NOW + 5, "why", None)


def test_what_is_not_in_the_table_changes_nothing() -> None:
    others = set(itertools.product(get_args(State), get_args(Trigger))) - set(TRANSITIONS)
    assert others
    changed = [(state, trigger) for state, trigger in others if moved(state, trigger) != replace(FRESH, state=state)]
    assert changed == []


def moved(state: State, trigger: Trigger) -> Attempt:
    return attempts.move(replace(FRESH, state=state), trigger, NOW, "x")


@pytest.mark.parametrize(
    ("attempt", "situation", "now", "state"),
    [
        (FRESH, ALONE, NOW, "pending"),
        (FRESH, ELSEWHERE, NOW, "superseded"),
        (FRESH, Situation(newest=True, start_ts=NOW, stopped_ts=NOW + 1), NOW, "cancelled"),
        (FRESH, Situation(newest=True, start_ts=NOW, stopped_ts=NOW), NOW, "pending"),
        (FRESH, Situation(newest=True, start_ts=NOW + 9, stopped_ts=NOW + 5), NOW, "pending"),
        (FRESH, Situation(newest=True, start_ts=NOW, revoked=True), NOW, "cancelled"),
        (FRESH, ALONE, END - 1, "pending"),
        (FRESH, ALONE, END + 1, "pending"),  # first seen late: tried once
        (FRESH, ALONE, NOW + budgets.LATE_MS, "expired"),
        (replace(FRESH, keys=Keys(first_at=NOW - budgets.KEY_LIFE_MS - 1)), ALONE, NOW, "expired"),
        (replace(FRESH, tries=1, lease_until=END + 5, next_at=None), ALONE, END + 4, "pending"),
        (replace(FRESH, tries=1, lease_until=END + 5, next_at=None), ALONE, END + 5, "expired"),
        (replace(FRESH, state="accepted", accepted_at=NOW), Situation(newest=True, start_ts=NOW, stopped_ts=NOW + 5), END, "accepted"),
        (replace(FRESH, state="accepted", accepted_at=NOW), ELSEWHERE, NOW, "superseded"),
        (replace(FRESH, state="failed"), ELSEWHERE, NOW, "failed"),
        (replace(FRESH, state="expired"), Situation(newest=True, start_ts=NOW, stopped_ts=END), END, "cancelled"),
        (replace(FRESH, state="expired"), Situation(newest=True, start_ts=NOW, stopped_ts=END + 1), END, "expired"),
    ],
)
def test_facts_and_time_decide_the_state(attempt: Attempt, situation: Situation, now: int, state: str) -> None:
    settled = attempts.settle(attempt, situation, now, RULES)
    assert settled.state == state
    assert attempts.settle(settled, situation, now, RULES) == settled


def test_no_try_is_planned_in_the_last_three_seconds() -> None:
    for before_end in range(0, 60_000, 250):
        attempt = tried((503, None), now=END - before_end)
        assert (attempt.next_at is None) == (before_end <= budgets.LAST_TRY_MS)
        assert attempt.next_at is None or attempt.next_at <= END - budgets.LAST_TRY_MS
        settled = attempts.settle(attempt, ALONE, END - before_end, RULES)
        assert settled.state == ("expired" if before_end <= budgets.LAST_TRY_MS else "pending")


def test_a_lease_and_a_pause_are_waited_for_to_the_millisecond() -> None:
    held = attempts.begin(FRESH, NOW, RULES)
    assert held.lease_until == NOW + RULES.lease_ms
    assert attempts.decide(held, NOW + RULES.lease_ms - 1) == Wait(NOW + RULES.lease_ms, "another attempt is under way")
    assert attempts.decide(held, NOW + RULES.lease_ms) is True
    paused = replace(FRESH, next_at=NOW + 10)
    assert attempts.decide(paused, NOW + 9) == Wait(NOW + 10, "a pause is on")
    assert attempts.decide(paused, NOW + 10) is True
    assert all(attempts.decide(replace(FRESH, state=state), NOW) is False for state in get_args(State) if state != "pending")


def test_a_lease_that_ended_unnoticed_leaves_its_key_doubtful() -> None:
    first = attempts.begin(FRESH, NOW, RULES)
    second = attempts.begin(first, NOW + RULES.lease_ms, RULES)
    assert (second.tries, second.keys.number, second.keys.doubtful, first.keys.doubtful) == (2, 0, True, False)


def test_a_late_answer_of_an_overtaken_try_changes_no_lease_and_loses_no_id() -> None:
    second = attempts.begin(attempts.begin(FRESH, NOW, RULES), NOW + RULES.lease_ms, RULES)
    for status in (503, 400, 429):
        after = attempts.after_answer(second, 1, outcome(status, None, None), NOW, 0.5, RULES)
        assert (after.state, after.lease_until, after.keys) == ("pending", second.lease_until, second.keys)
    taken = attempts.after_answer(second, 1, outcome(201, None, "m"), NOW, 0.5, RULES)
    assert (taken.state, taken.mdc_id, taken.lease_until) == ("accepted", "m", None)
    again = attempts.after_answer(taken, 2, outcome(201, None, "other"), NOW, 0.5, RULES)
    assert again.mdc_id == "m"
    assert not attempts.after_answer(taken, 2, outcome(503, None, None), NOW, 0.5, RULES).unsure


@pytest.mark.parametrize("state", ["cancelled", "superseded", "expired"])
def test_an_answer_after_the_decision_keeps_the_doubt(state: str) -> None:
    attempt = attempts.begin(FRESH, NOW, RULES)
    attempt = replace(attempt, state=state)
    assert attempts.after_answer(attempt, 1, outcome(0, "timeout", None), NOW, 0.5, RULES).unsure
    assert not attempts.after_answer(attempt, 1, outcome(401, None, None), NOW, 0.5, RULES).unsure


def test_a_pending_one_that_ends_in_doubt_is_unsure() -> None:
    attempt = tried((0, "timeout"))
    assert attempts.move(attempt, "window_past", NOW, "").unsure
    assert not attempts.move(tried((401, None)), "window_past", NOW, "").unsure


def test_an_expiry_names_the_window_and_the_last_answer() -> None:
    attempt = attempts.settle(replace(tried((503, None)), next_at=None), ALONE, END, RULES)
    assert attempt.reason == (
        "not handed on within 60 s of its start; last attempt: 1: Recall answered 503: Recall failed;"
        " an attempt may have made a recording, which is looked for"
    )


def test_history_is_bounded() -> None:
    attempt = tried(*([(401, None)] * 30))
    assert len(attempt.history) == attempts.HISTORY_LIMIT == 20
    assert attempt.history[-1].startswith("30: ")


@pytest.mark.parametrize(("after_ms", "state"), [(budgets.LATE_MS - 1, "pending"), (budgets.LATE_MS, "expired")])
def test_one_that_was_seen_late_and_never_tried_is_over_at_its_end(after_ms: int, state: State) -> None:
    late = replace(FRESH, late=True)
    assert attempts.settle(late, ALONE, NOW + after_ms, RULES).state == state


def test_without_a_plan_one_that_was_never_tried_is_not_tried_out() -> None:
    assert attempts.settle(replace(FRESH, next_at=None), ALONE, NOW + 1, RULES).state == "pending"
    assert attempts.settle(replace(FRESH, next_at=None, tries=1), ALONE, NOW + 1, RULES).state == "expired"


def test_a_new_attempt_is_pending_and_nothing_was_tried() -> None:
    assert msgspec.to_builtins(Attempt(start_ts=5, state_at=9)) == {
        "start_ts": 5,
        "state": "pending",
        "state_at": 9,
        "reason": "",
        "late": False,
        "tries": 0,
        "next_at": None,
        "lease_until": None,
        "keys": {"number": 0, "first_at": None, "doubtful": False, "answer": "", "same": 0, "same_since": 0, "skipped": False},
        "unsure": False,
        "history": (),
        "history_at": (),
        "mdc_id": None,
        "accepted_at": None,
    }
    assert attempts.Situation(True, 5) == attempts.Situation(newest=True, start_ts=5, stopped_ts=0, stop="", revoked=False)


def test_a_try_that_the_record_could_not_hold_leaves_a_doubt_of_its_key_or_of_all() -> None:
    accepted = attempts.accept(FRESH, NOW, "mdc")
    assert attempts.tried_unseen(accepted) == accepted  # with key 0 Recall gave the same MDC again
    assert attempts.tried_unseen(FRESH) == replace(FRESH, keys=Keys(doubtful=True))
    later = replace(FRESH, keys=Keys(number=1))
    assert attempts.tried_unseen(later) == replace(later, unsure=True)
    assert attempts.tried_unseen(replace(accepted, keys=Keys(number=1))).unsure
    ended = replace(FRESH, state="cancelled")
    assert attempts.tried_unseen(ended) == replace(ended, unsure=True)


def test_what_recall_accepted_is_settled_and_keeps_its_first_id_and_moment() -> None:
    held = replace(FRESH, lease_until=NOW + 9, keys=Keys(doubtful=True))
    once = attempts.accept(held, NOW + 1, "mdc-1")
    assert (once.state, once.state_at, once.reason, once.mdc_id, once.accepted_at) == ("accepted", NOW + 1, "", "mdc-1", NOW + 1)
    assert (once.next_at, once.lease_until, once.keys) == (None, None, Keys())
    again = attempts.accept(once, NOW + 2, "mdc-2", "a recording of it was seen")
    assert again == once


@pytest.mark.parametrize(("now", "state"), [(NOW + 59_999, "pending"), (NOW + 60_000, "expired")])
def test_one_that_was_tried_is_over_with_its_window(now: int, state: State) -> None:
    tried = replace(FRESH, tries=1, next_at=NOW + 60_000)
    assert attempts.settle(tried, ALONE, now, RULES).state == state


@pytest.mark.parametrize(("tries", "words"), [(0, "; first seen late"), (1, "; first seen late and tried once")])
def test_an_expiry_says_that_it_was_first_seen_late(tries: int, words: str) -> None:
    over = attempts.settle(replace(FRESH, late=True, tries=tries), ALONE, NOW + budgets.LATE_MS, RULES)
    assert over.reason == f"not handed on within 60 s of its start{words}"


def test_what_goes_on_or_was_accepted_is_not_unsure() -> None:
    asked = attempts.move(replace(FRESH, state="failed", keys=Keys(doubtful=True)), "asked_again", NOW, "")
    seen = attempts.move(replace(FRESH, lease_until=NOW + 9), "accepted", NOW, "")
    refused = attempts.move(replace(FRESH, lease_until=NOW + 9), "refused", NOW, "")
    assert [(one.state, one.unsure) for one in (asked, seen, refused)] == [("pending", False), ("accepted", False), ("failed", True)]
