"""A start on its way: both queues, one POST, the late copy, and everything that Recall may answer within the window."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, URLS_B, URLS_C, interrupted, started, stopped
from tests.unit.relay.handing.playing import (
    KEY_A,
    KEY_B,
    start_task,
    stored,
    taken,
    timed,
)

from rtms_relay import handing, tasks
from rtms_relay.errors import QueueUnavailable
from rtms_relay.handoff.keys import idempotency_key, stream_key
from rtms_relay.ports import Answer


async def test_a_start_is_enqueued_twice_and_handed_on_once() -> None:
    bench = Bench()
    assert await bench.zoom(started()) == {"status": "enqueued", "stream": stream_key(STREAM)}
    assert (len(bench.home.tasks), len(bench.second.tasks)) == (1, 1)
    assert bench.second.tasks[0].due == NOW + 5000
    await bench.run(10)
    [(body, key)] = bench.recall.creates
    # Golden: what Zoom's own SDK signs for these ids (its native client, measured).
    assert body["zoom_rtms"] == {
        "meeting_uuid": MEETING,
        "rtms_stream_id": STREAM,
        "server_urls": URLS_A,
        "signature": "637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68",
    }
    assert body["metadata"] == body["recording_config"]["metadata"] == {"rtmskit_handoff": KEY_A}
    assert key == idempotency_key(KEY_A, 0)
    assert (bench.state(KEY_A), bench.handoff().attempt.mdc_id) == ("accepted", "mdc-1")
    assert bench.log.of("handoff_accepted")[0]["since_event_ms"] == 0
    assert not bench.log.of("home_stalled")
    assert not any(queue.tasks for queue in bench.queues.values())


async def test_deliveries_again_change_nothing() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.zoom(started())
        await bench.run(10)
    assert len(bench.recall.creates) == 1
    assert len(bench.handoffs()) == 1


async def test_a_fail_over_is_handed_on_and_so_is_its_way_back() -> None:
    bench = Bench()
    for urls, ts in ((URLS_A, NOW), (URLS_B, NOW + 5000), (URLS_A, NOW + 9000)):
        await bench.run(max(0, (ts - bench.clock.now) / 1000))
        await bench.zoom(started(urls, ts))
        await bench.run(1)
    assert bench.posted_urls() == [URLS_A, URLS_B, URLS_A]
    back = key_of(URLS_A, NOW + 9000)
    assert [bench.state(key) for key in (KEY_A, KEY_B, back)] == ["superseded", "superseded", "accepted"]
    await bench.zoom(started(URLS_A, NOW))
    await bench.zoom(started(URLS_A, NOW + 9000))
    await bench.run(10)
    assert len(bench.recall.creates) == 3


async def test_an_older_start_that_comes_late_is_never_posted() -> None:
    bench = Bench()
    await bench.zoom(started(URLS_B, NOW + 5000))
    await bench.zoom(started(URLS_A, NOW))
    await bench.run(10)
    assert bench.posted_urls() == [URLS_B]
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")


async def test_an_interruption_is_a_start_only_if_it_names_other_servers() -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(1)
    await bench.zoom(interrupted(NOW + 1000))
    await bench.zoom(interrupted(NOW + 1500, URLS_A))
    await bench.run(1)
    assert bench.posted_urls() == [URLS_A]
    assert bench.facts().interrupted_ts == NOW + 1000
    await bench.zoom(interrupted(NOW + 5000, URLS_B))
    await bench.run(1)
    assert bench.posted_urls() == [URLS_A, URLS_B]


async def test_the_same_servers_again_are_looked_at() -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code="processing")
    await bench.zoom(started(URLS_A, bench.clock.now))
    await bench.run(5)
    assert len(bench.recall.creates) == 1
    assert bench.log.of("start_again")[0]["running"] is True
    bench.recall.record("mdc-1", code="done")
    ts = bench.clock.now
    await bench.zoom(started(URLS_A, ts))
    await bench.run(20)
    assert len(bench.recall.creates) == 2
    assert (bench.state(KEY_A), bench.state(key_of(URLS_A, ts))) == ("superseded", "accepted")


async def test_the_same_servers_again_after_an_end_that_was_never_posted() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW + 1000))
    await bench.zoom(started(URLS_A, NOW))
    await bench.run(2)
    assert bench.state(KEY_A) == "cancelled"
    await bench.zoom(started(URLS_A, NOW + 2000))
    await bench.run(2)
    assert bench.state(key_of(URLS_A, NOW + 2000)) == "accepted"


async def test_a_stop_that_comes_first_cancels_the_start() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW + 2000))
    await bench.run()
    await bench.zoom(started())
    await bench.run(10)
    assert not bench.recall.creates
    assert bench.state() == "cancelled"
    assert "stop_reason 6, the meeting ended" in bench.handoff().attempt.reason


async def test_a_stop_older_than_the_start_cancels_nothing() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW - 2000))
    await bench.zoom(started())
    await bench.run(10)
    assert bench.state() == "accepted"


async def test_a_start_long_past_expires_loudly() -> None:
    bench = Bench()
    await bench.zoom(started(ts=NOW - 301_000))
    await bench.run(10)
    assert not bench.recall.creates
    assert bench.log.of("handoff_expired", "ALERT")


@pytest.mark.parametrize(("answers", "state"), [([], "accepted"), ([Answer(503)], "expired")])
async def test_a_start_first_seen_late_is_tried_once(answers: list[Answer], state: str) -> None:
    bench = Bench()
    bench.recall.script = list(answers)
    await bench.zoom(started(ts=NOW - 90_000))
    await bench.run(60)
    assert (len(bench.recall.creates), bench.state()) == (1, state)
    assert bench.handoff().attempt.late


async def test_a_start_that_joins_one_first_seen_late_has_its_own_window() -> None:
    """Seed 5559 of the simulated world: an old start came late, its one try hung, and the start that came meanwhile was lost with it."""
    bench = Bench()

    async def hang() -> None:
        bench.recall.during_create = nothing_more
        await bench.clock.sleep(15)

    async def nothing_more() -> None: ...

    bench.recall.during_create = hang
    bench.recall.script = [Answer(0, failure="timeout")]
    await bench.zoom(started(ts=NOW - 130_000))
    await bench.run(5)
    await bench.zoom(started(ts=NOW + 4_000))
    await bench.run(50)
    attempt = bench.handoff(key_of(URLS_A, NOW - 130_000)).attempt
    assert (attempt.state, attempt.start_ts, attempt.tries) == ("accepted", NOW + 4_000, 2)


@pytest.mark.parametrize("status", [503, 408, 425, 500, 599, 100])
async def test_a_failing_recall_is_tried_until_three_seconds_before_the_end(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status)] * 100
    await bench.zoom(started())
    await bench.run(120)
    attempt = bench.handoff().attempt
    assert attempt.state == "expired"
    assert str(status) in attempt.reason
    assert attempt.unsure
    # The same answer twice: the next key, once.
    assert sorted(set(bench.posted_keys())) == sorted(idempotency_key(KEY_A, number) for number in (0, 1))
    assert bench.posted_keys()[:3] == [idempotency_key(KEY_A, 0)] * 2 + [idempotency_key(KEY_A, 1)]
    assert 5 < len(bench.recall.creates) < 20
    assert NOW + 57_000 <= attempt.state_at < NOW + 60_000


async def test_a_stored_503_is_left_behind_by_the_next_key() -> None:
    bench = Bench()
    bench.recall.stored_statuses = {503}
    bench.recall.script = [Answer(503)]
    await bench.zoom(started())
    await bench.run(60)
    assert bench.state() == "accepted"
    assert bench.handoff().attempt.unsure


@pytest.mark.parametrize("status", [401, 403, 404, 405, 301, 308])
async def test_a_wrong_key_or_address_alarms_at_once_and_is_tried_every_five_seconds(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status)] * 2
    await bench.zoom(started())
    await bench.run(4)
    assert len(bench.log.of("attempt", "ALERT")) == 1
    await bench.run(10)
    assert bench.state() == "accepted"
    assert bench.posted_keys() == [idempotency_key(KEY_A, number) for number in (0, 1, 2)]
    assert not bench.handoff().attempt.unsure


@pytest.mark.parametrize("status", [429, 507])
async def test_a_busy_recall_is_tried_after_half_a_minute_with_the_next_key(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status)]
    await bench.zoom(started())
    await bench.run(29)
    assert len(bench.recall.creates) == 1
    await bench.run(3)
    assert bench.state() == "accepted"
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0), idempotency_key(KEY_A, 1)]


@pytest.mark.parametrize(("retry_after", "at"), [(7.0, 7.5), (300.0, 57.0)])
async def test_retry_after_is_waited_for_as_far_as_the_window_allows(retry_after: float, at: float) -> None:
    bench = Bench()
    bench.recall.script = [Answer(429, retry_after_s=retry_after)]
    await bench.zoom(started())
    await bench.run(at - 0.1)
    assert len(bench.recall.creates) == 1
    await bench.run(0.2)
    assert bench.state() == "accepted"


@pytest.mark.parametrize("status", [400, 402, 406, 410, 413, 418, 422, 451])
async def test_what_no_repetition_mends_fails_with_an_alert_and_its_reason(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status, b'{"detail":"because"}')]
    await bench.zoom(started())
    await bench.run(90)
    assert (bench.state(), len(bench.recall.creates)) == ("failed", 1)
    assert "because" in bench.handoff().attempt.reason
    assert bench.log.of("handoff_failed", "ALERT")


async def test_a_key_in_flight_is_waited_for_and_then_left() -> None:
    bench = Bench()
    bench.recall.script = [Answer(409)] * 40
    await bench.zoom(started())
    await bench.run(19)
    assert set(bench.posted_keys()) == {idempotency_key(KEY_A, 0)}
    await bench.run(10)
    assert set(bench.posted_keys()) == {idempotency_key(KEY_A, 0), idempotency_key(KEY_A, 1)}


async def test_a_lost_201_is_repeated_with_its_key_and_makes_one_mdc() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="reset")]
    await bench.zoom(started())
    await bench.run(5)
    assert bench.state() == "accepted"
    assert list(bench.recall.mdcs) == ["mdc-1"]
    assert not bench.handoff().attempt.unsure


async def test_no_connection_after_a_lost_answer_does_not_change_the_key() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="timeout"), Answer(0, failure="unreachable"), Answer(401)]
    await bench.zoom(started())
    await bench.run(20)
    assert bench.state() == "accepted"
    assert list(bench.recall.mdcs) == ["mdc-1"]


async def test_no_connection_does_not_change_the_key_of_a_start_that_an_unrecorded_try_may_have_begun() -> None:
    """Seed 160 of the simulated world: the store was away, a worker POSTed key 0 and crashed, the store came back, and the next worker
    met "no connection" before it was Recall's turn to finish the first POST."""
    bench = Bench()
    bench.recall.script = [Answer(0, failure="unreachable"), Answer(0, failure="unreachable")]
    await bench.zoom(started())
    await bench.run(20)
    assert bench.state() == "accepted"
    assert bench.posted_keys() == [idempotency_key(bench.handoff().key, 0)] * 3
    assert not bench.handoff().attempt.unsure


async def test_a_2xx_without_an_id_is_asked_again() -> None:
    bench = Bench()
    bench.recall.script = [Answer(201, b"<html>")]
    await bench.zoom(started())
    await bench.run(5)
    assert (bench.state(), bench.handoff().attempt.mdc_id) == ("accepted", "mdc-1")
    assert len(set(bench.posted_keys())) == 1


async def test_another_host_fails_without_a_signature() -> None:
    bench = Bench()
    await bench.zoom(started("wss://evil.example"))
    await bench.run(10)
    assert not bench.recall.creates
    assert bench.state() == "failed"


async def test_an_id_is_kept_when_the_stream_ended_during_the_post() -> None:
    bench = Bench()

    async def stop() -> None:
        await bench.clock.sleep(1)

    bench.recall.during_create = stop
    await bench.zoom(started())
    await bench.run(0.5)
    await bench.zoom(stopped(NOW + 400))
    await bench.run(0.1)
    assert bench.state() == "cancelled"
    await bench.run(1)
    handoff = bench.handoff()
    assert (handoff.attempt.state, handoff.attempt.mdc_id, handoff.retrieval.state) == ("accepted", "mdc-1", "awaiting")
    assert handoff.retrieval.ended_at == NOW + 400


async def test_a_crowd_of_fail_overs_ends_with_the_newest() -> None:
    bench = Bench()
    for number, urls in enumerate((URLS_A, URLS_C, URLS_B, URLS_A, URLS_C)):
        await bench.zoom(started(urls, NOW + number))
    await bench.run(20)
    states = {(handoff.server_urls, handoff.epoch - NOW): handoff.attempt.state for handoff in bench.handoffs().values()}
    assert states == {
        (URLS_A, 0): "superseded",
        (URLS_C, 1): "superseded",
        (URLS_B, 2): "superseded",
        (URLS_A, 3): "superseded",
        (URLS_C, 4): "accepted",
    }


@pytest.mark.parametrize("step", [-600_000, 600_000])
async def test_the_window_and_the_tries_do_not_follow_a_stepped_wall_clock(step: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(429)]
    await bench.zoom(started())
    await bench.run(5)
    bench.clock.now += step
    await bench.run(27)
    assert (len(bench.recall.creates), bench.state()) == (2, "accepted")


async def test_neither_queue_takes_the_start() -> None:
    bench = Bench()
    bench.home.down = bench.second.down = True
    with pytest.raises(QueueUnavailable):
        await bench.zoom(started())
    assert 55_000 < bench.clock.monotonic_ms() < 65_000


async def test_whether_it_runs_is_asked_each_two_seconds_for_half_a_window() -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.reads.clear()
    bench.recall.down = Answer(503)
    bench.second.stalled = True  # the copy there would ask for itself
    again = bench.clock.now
    await bench.zoom(started(URLS_A, again))
    await bench.run(29.9)
    assert len(bench.recall.creates) == 1
    asked = len(bench.recall.reads)
    await bench.run(1)
    assert (asked, len(bench.recall.creates)) == (15, 2)
    assert bench.log.of("start_again")[0]["running"] is None
    assert bench.state(key_of(URLS_A, again)) == "accepted"


def test_how_long_it_waits() -> None:
    """A process that is asked to stop is noticed within a second; word of an outcome is insisted on for five."""
    assert (handing._SLICE_S, handing._OUTCOME_PATIENCE_MS, handing._AGAIN_PAUSE_S) == (1.0, 5_000, 2.0)


@pytest.mark.parametrize(("copy", "status"), [("home", "accepted"), ("second", "noted")])
async def test_a_copy_that_comes_after_its_start_was_handed_on_does_nothing_more(copy: tasks.Copy, status: str) -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(10)
    start = start_task(copy=copy)
    reply = await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(start)))
    assert (reply.body, len(bench.recall.creates)) == ({"status": status}, 1)
    assert bench.log.of("home_stalled") == []


@pytest.mark.parametrize(("answers", "state"), [([Answer(400)], "failed"), ([Answer(503)] * 100, "expired")])
async def test_the_same_servers_again_after_an_attempt_that_came_to_nothing_are_a_new_hand_off(answers: list[Answer], state: str) -> None:
    bench = Bench()
    bench.recall.script = list(answers)
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    assert bench.state(KEY_A) == state
    bench.recall.script.clear()
    again = bench.clock.now
    await bench.zoom(started(URLS_A, again))
    await bench.run(5)
    assert bench.state(key_of(URLS_A, again)) == "accepted"
    assert bench.log.of("start_again") == []


@pytest.mark.parametrize(("copy", "status"), [("home", "accepted"), ("second", "noted")])
async def test_the_same_servers_again_while_it_records_are_answered(copy: tasks.Copy, status: str) -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code="processing")
    start = start_task(bench.clock.now, copy=copy)
    reply = await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(start)))
    assert (reply.body, len(bench.log.of("start_again"))) == ({"status": status}, 1)


async def test_servers_without_any_id_of_a_meeting_fail_in_words() -> None:
    bench = Bench()
    event = interrupted(NOW, URLS_B)
    del event["payload"]["meeting_uuid"]
    await bench.zoom(event)
    await bench.run(5)
    reason = "Zoom named servers and no id of the meeting, and no start of this stream is known"
    assert (bench.state(), bench.handoff().attempt.reason, bench.recall.creates) == ("failed", reason, [])


async def test_a_stop_that_came_first_without_ids_leaves_them_to_the_start() -> None:
    bench = Bench()
    stop = stopped(NOW - 5)
    del stop["payload"]["meeting_uuid"]
    await bench.zoom(stop)
    await bench.run()
    assert bench.facts().entity_id == ""
    await bench.zoom(started(account_id="acc"))
    await bench.run(5)
    assert (bench.facts().entity_id, bench.facts().account_id) == (MEETING, "acc")
    assert (bench.handoff().entity_id, bench.state()) == (MEETING, "accepted")


async def test_a_pause_is_slept_through_and_ends_at_its_moment() -> None:
    bench = Bench()
    bench.second.stalled = True
    moments, operations = timed(bench), []

    async def count(operation: str) -> None:
        operations.append(operation)

    bench.recall.script = [Answer(503), Answer(500)]
    await bench.zoom(started())
    bench.store.trouble = count
    await bench.run(10)
    assert moments == [0, 500, 1_500]
    assert operations.count("commit") <= 7


@pytest.mark.parametrize(("patience_ms", "state", "at"), [(5_000, "accepted", 5_000), (4_999, "pending", 0)])
async def test_a_pause_that_ends_too_late_for_who_asked_is_not_waited_for(patience_ms: int, state: str, at: int) -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    handing_on, handoff = await taken(bench)
    paused = replace(handoff, attempt=replace(handoff.attempt, lease_until=None, next_at=bench.clock.now + 5_000))
    await stored(bench, paused)
    assert await bench.clock.until_done(handing_on.finish(paused, until_ms=patience_ms)) == state
    assert bench.clock.monotonic_ms() == at


@pytest.mark.parametrize(("status", "mdc_id"), [(200, "m"), (299, "m"), (300, "mdc-1"), (199, "mdc-1")])
async def test_only_of_a_2xx_the_id_is_read(status: int, mdc_id: str) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status, b'{"id":"m"}')]
    await bench.zoom(started())
    await bench.run(20)
    assert (bench.state(), bench.handoff().attempt.mdc_id) == ("accepted", mdc_id)
    first = bench.handoff().attempt.history[0]
    assert ('"id":"m"' in first) is (mdc_id != "m")


async def test_what_a_2xx_without_an_id_says_is_not_repeated() -> None:
    bench = Bench()
    bench.recall.script = [Answer(200, b"<html>words"), Answer(0, b"words", failure="timeout")]
    await bench.zoom(started())
    await bench.run(20)
    first, second, _ = bench.handoff().attempt.history
    assert (first, second) == ("1: Recall answered 200: an answer without an id", "2: no answer in time")


async def test_an_interruption_on_the_same_servers_is_no_news() -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(1)
    await bench.zoom(interrupted(NOW + 1500, URLS_A))
    await bench.run(5)
    assert (bench.log.of("start_again"), bench.posted_urls()) == ([], [URLS_A])


async def test_what_is_missing_of_a_stream_is_completed_and_of_a_revoked_one_nothing() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW - 5))
    await bench.run()
    assert (bench.facts().entity_id, bench.facts().account_id) == (MEETING, "")
    await bench.zoom(started(account_id="acc"))
    await bench.run(1)
    assert (bench.facts().entity_id, bench.facts().account_id) == (MEETING, "acc")
    revoked = Bench()
    await revoked.zoom(stopped(NOW - 5, 8))
    await revoked.run()
    await revoked.zoom(started(account_id="acc"))
    await revoked.run(5)
    assert (revoked.facts().entity_id, revoked.facts().account_id, revoked.recall.creates) == ("", "", [])
