"""Every number of the service as a literal, and limits with what is just inside and just outside of them, on a clock of the test's own."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, STREAM, URLS_A, URLS_B, started, stopped

from rtms_relay import budgets, recall
from rtms_relay.adapters import cloud_tasks, firestore, identity, local_queue, recall_http, sqlite
from rtms_relay.budgets import Rules
from rtms_relay.handoff.keys import Keys
from rtms_relay.ports import Answer
from rtms_relay.routes import http

BUDGETS = {
    "ACK_MS": 3_000,
    "ACK_SLACK_MS": 300,
    "ENQUEUE_MS": 2_000,
    "ENQUEUE_PAUSE_MS": 100,
    "REPEATED_ACK_MS": 2_500,
    "SECOND_REGION_DELAY_MS": 5_000,
    "STORE_MS": 2_000,
    "LAST_TRY_MS": 3_000,
    "LATE_MS": 300_000,
    "LEASE_MARGIN_MS": 5_000,
    "DISPATCH_MARGIN_MS": 30_000,
    "REFUSED_PAUSE_MS": 5_000,
    "BUSY_PAUSE_MS": 30_000,
    "IN_FLIGHT_PAUSE_MS": 1_000,
    "IN_FLIGHT_LIMIT_MS": 20_000,
    "BACKOFF_MS": 500,
    "BACKOFF_DOUBLINGS": 4,
    "KEY_LIFE_MS": 50 * 60_000,
    "MAX_WINDOW_MS": 1_800_000,
    "LOOK_SLOT_MS": 30_000,
    "LOOK_DELAY_MS": 2_000,
    "FIRST_LOOK_MS": 20_000,
    "LONGEST_STREAM_MS": 24 * 3_600_000,
    "ARCHIVE_LEASE_MS": 30 * 60_000,
    "COPY_MS": 25 * 60_000,
    "COPY_TRIES": 5,
    "ARCHIVE_MARGIN_MS": 60_000,
    "ERASE_AGAIN_MS": 60_000,
    "RECHECKS_MS": (60_000, 600_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000),
    "ERASE_REFUSED_MS": 3_600_000,
    "ERASE_UNSEEN_MS": 24 * 3_600_000,
    "DAY_MS": 24 * 3_600_000,
    "SWEEP_MS": 60_000,
    "SWEEP_LIMIT": 1_000,
    "SWEEP_BUDGET_MS": 45_000,
    "SWEEP_LOOKS": 60,
    "OVERDUE_MS": 600_000,
    "RETRY_MS": 20_000,
    "PROBE_ARRIVES_MS": 60_000,
    "CHECKUPS_KEPT": 8,
    "UNUSABLE_BYTES": 16 * 1_024,
    "UNUSABLE_DAYS": 30,
    "TASK_BYTES": 64 * 1_024,
}


def test_every_budget_is_the_number_that_is_documented() -> None:
    """Derived from the module: a number without a literal here fails."""
    assert {name: value for name, value in vars(budgets).items() if name.isupper()} == BUDGETS
    assert Rules() == Rules(connect_window_ms=60_000, recall_timeout_ms=15_000, poll_ms=1_800_000, give_up_ms=86_400_000)
    assert Rules().lease_ms == 20_000
    assert Rules(recall_timeout_ms=7_000).lease_ms == 12_000


DEFAULTS: list[tuple[Any, str, Any]] = [
    (sqlite.SqliteStore, "timeout_s", 2.0),
    (firestore.FirestoreStore, "timeout_s", 2.0),
    (cloud_tasks.CloudTasksQueue, "timeout_s", 2.0),
    (local_queue.LocalQueue, "timeout_s", 2.0),
    (local_queue.TaskFile, "timeout_s", 10.0),
    (recall_http.HttpRecall, "timeout_s", 15.0),
    (recall_http.HttpRecall, "stall_s", 60.0),
    (recall_http.HttpRecall, "max_download", 50_000_000_000),
]


@pytest.mark.parametrize(("made", "name", "value"), DEFAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_what_an_adapter_waits_for_at_most(made: Any, name: str, value: Any) -> None:
    assert inspect.signature(made).parameters[name].default == value


def test_limits_of_the_surface() -> None:
    assert (http.MAX_BODY, http.BODY_BUDGET_S) == (1_048_576, 10.0)
    assert (recall_http.MAX_BODY, recall_http.STALL_BYTES) == (10_000_000, 65_536)
    assert (recall.WEBHOOK_TOLERANCE_S, recall.MAX_NEXT) == (300, 16_000)
    assert (identity.KEEP_MS, identity.AGAIN_MS) == (3_600_000, 60_000)
    assert local_queue.NAMES_KEPT_MS == 86_400_000


# Just before, and just after


@pytest.mark.parametrize(("late_ms", "state"), [(59_999, "accepted"), (60_000, "accepted"), (299_999, "accepted"), (300_000, "expired")])
async def test_a_start_is_tried_up_to_five_minutes_late(late_ms: int, state: str) -> None:
    bench = Bench()
    await bench.zoom(started(ts=NOW - late_ms))
    await bench.run(10)
    assert bench.state() == state
    assert bench.handoff().attempt.late is (state == "accepted" and late_ms >= 60_000)


@pytest.mark.parametrize(("age_ms", "tries"), [(56_900, 2), (57_100, 1), (40_000, 2)])
async def test_no_try_is_planned_in_the_last_three_seconds(age_ms: int, tries: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(429)] * 5
    await bench.zoom(started(ts=NOW - age_ms))
    await bench.run(120)
    times = [line["number"] for line in bench.log.of("attempt")]
    assert len(times) == tries
    assert bench.state() == "expired"


@pytest.mark.parametrize(("stop_ms", "state"), [(-1, "accepted"), (0, "accepted"), (1, "cancelled")])
async def test_only_a_stop_after_the_start_cancels_it(stop_ms: int, state: str) -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW + stop_ms))
    await bench.run(1)
    await bench.zoom(started(ts=NOW))
    await bench.run(10)
    assert bench.state() == state


@pytest.mark.parametrize(("newer_ms", "posted"), [(-1, [URLS_A]), (1, [URLS_A, URLS_B])])
async def test_only_a_later_start_on_other_servers_is_a_fail_over(newer_ms: int, posted: list[str]) -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(1)
    await bench.zoom(started(URLS_B, ts=NOW + newer_ms))
    await bench.run(10)
    assert bench.posted_urls() == posted


@pytest.mark.parametrize(("hangs_s", "second"), [(0.29, True), (0.31, False)])
async def test_the_ack_waits_300_ms_for_the_other_queue(hangs_s: float, second: bool) -> None:
    bench = Bench()
    bench.second.hangs_s = hangs_s
    await bench.zoom(started())
    assert ("handoffs-second" in bench.log.of("start_acked")[0]["queues"]) is second


@pytest.mark.parametrize(("slow_s", "away"), [(1.9, False), (2.1, True)])
async def test_a_store_has_two_seconds_before_the_post(slow_s: float, away: bool) -> None:
    bench = Bench()
    begun = []

    async def slow(_: str) -> None:
        if not begun:
            begun.append(1)
            await bench.clock.sleep(slow_s)

    bench.store.trouble = slow
    await bench.zoom(started())
    await bench.run(10)
    assert bool(bench.log.of("store_away")) is away
    assert bench.state() == "accepted"


@pytest.mark.parametrize(("dead_s", "posts"), [(19.9, 1), (20.1, 2)])
async def test_the_lease_of_a_worker_that_died_lasts_twenty_seconds(dead_s: float, posts: int) -> None:
    bench = Bench()
    died = []

    async def die() -> None:
        if not died:
            died.append(1)
            await bench.clock.sleep(10_000)

    bench.recall.during_create = die
    bench.second.stalled = True
    await bench.zoom(started())
    await bench.run(0.001)
    other = bench.new_worker()
    taken = bench.jobs.start(other.receive("/events", bench.home.tasks[0].body), "other")
    await bench.run(dead_s)
    assert len(bench.recall.creates) == posts
    taken.cancel()


@pytest.mark.parametrize(("age_ms", "expired"), [(3_000_000, False), (3_000_001, True)])
def test_a_key_is_used_for_fifty_minutes(age_ms: int, expired: bool) -> None:
    assert Keys(first_at=NOW).expired(NOW + age_ms) is expired


async def test_a_hand_off_and_its_key_are_those_of_the_stream() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(1)
    assert list(bench.handoffs()) == [key_of(URLS_A, NOW, STREAM)]
