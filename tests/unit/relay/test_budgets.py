"""The table of rates, limits, leases and time budgets adds up, the infrastructure's numbers included."""

from __future__ import annotations

import pytest
from tests.ports.events import ENVIRON

from rtms_infra import numbers
from rtms_relay import budgets, wiring
from rtms_relay.settings import VARIABLES, load
from rtms_relay.worker import rules

SETTINGS = load(ENVIRON, "worker")
RULES = rules(SETTINGS)


def test_the_rules_are_the_settings_and_their_defaults_the_settings_defaults() -> None:
    assert budgets.Rules() == RULES


def test_a_start_is_acked_in_time_even_if_one_queue_hangs() -> None:
    assert budgets.ENQUEUE_MS + budgets.ACK_SLACK_MS < budgets.ACK_MS


def test_the_second_region_comes_after_the_first_and_within_the_window() -> None:
    assert budgets.SECOND_REGION_DELAY_MS == numbers.SECOND_REGION_DELAY_S * 1000
    assert budgets.STORE_MS + budgets.SECOND_REGION_DELAY_MS + RULES.recall_timeout_ms < RULES.connect_window_ms - budgets.LAST_TRY_MS


def test_a_start_survives_a_crash_in_its_post() -> None:
    """The lease of the dead worker ends, and a whole try still fits before the last seconds."""
    assert 2 * RULES.lease_ms < RULES.connect_window_ms - budgets.LAST_TRY_MS


def test_a_dispatch_outlasts_the_window_and_the_last_try() -> None:
    assert budgets.DISPATCH_MARGIN_MS == numbers.DISPATCH_GRACE_S * 1000
    assert RULES.recall_timeout_ms + budgets.STORE_MS <= budgets.DISPATCH_MARGIN_MS
    assert budgets.MAX_WINDOW_MS <= numbers.TASK_DEADLINE_MAX_S * 1000
    assert max(parse("ZOOM_CONNECT_WINDOW_S", "1800"), 0) * 1000 == budgets.MAX_WINDOW_MS
    for window in ("1", "60", "1800"):
        made = wiring.queues(load(ENVIRON | {"ZOOM_CONNECT_WINDOW_S": window}, "worker"))
        deadlines = [queue._target.deadline_s for queue in made.values()]  # ty: ignore[missing-attribute]
        assert all(15 <= deadline <= numbers.TASK_DEADLINE_MAX_S for deadline in deadlines)
        assert deadlines[0] == min(1800.0, float(window) + numbers.DISPATCH_GRACE_S)


def test_a_task_outlasts_its_copies_so_that_their_end_is_recorded_and_counted() -> None:
    """Before the first copy Recall is read, at most for as long as its pages and a repeated call each last; the end is written after it."""
    made = wiring.queues(load(ENVIRON, "worker"))["retrievals"]
    deadline_ms = made._target.deadline_s * 1000  # ty: ignore[missing-attribute]
    assert budgets.COPY_MS == 25 * 60_000
    assert deadline_ms == numbers.WORKER_TIMEOUT_S * 1000 == budgets.ARCHIVE_LEASE_MS == 30 * 60_000
    assert budgets.COPY_MS + 10 * RULES.recall_timeout_ms + 2 * budgets.ARCHIVE_MARGIN_MS < deadline_ms


def parse(name: str, value: str) -> float:
    return next(variable.parse(value) for variable in VARIABLES if variable.name == name)


def test_the_webhook_may_try_until_the_window_ends() -> None:
    for window in (10, 60, 1800):
        assert numbers.webhook_timeout_s(window) >= window + budgets.ENQUEUE_MS / 1000


def test_no_key_is_used_after_recall_may_have_forgotten_it() -> None:
    assert budgets.MAX_WINDOW_MS + budgets.DISPATCH_MARGIN_MS < budgets.KEY_LIFE_MS < 3_600_000


def test_looks_stay_below_recalls_limit() -> None:
    a_minute = numbers.RETRIEVALS_PER_SECOND * 60
    assert a_minute + budgets.SWEEP_LOOKS <= 300
    assert budgets.SWEEP_LOOKS < 300


def test_a_sweep_ends_before_the_next_one() -> None:
    assert budgets.SWEEP_BUDGET_MS + RULES.recall_timeout_ms <= numbers.SWEEP_DEADLINE_S * 1000 == budgets.SWEEP_MS


@pytest.mark.parametrize("slots", [numbers.SLOTS_MIN, numbers.WORKER_MAX_INSTANCES * numbers.WORKER_CONCURRENCY])
def test_the_queues_leave_room_for_one_another(slots: int) -> None:
    assert list(numbers.check(slots)) == []
    assert numbers.concurrent("retrievals", slots) * 2 <= slots
