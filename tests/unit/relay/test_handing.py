"""A start on its way: both queues, one POST, the late copy, and everything that Recall may answer within the window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, URLS_B, URLS_C, interrupted, started, stopped
from tests.ports.plain import nothing

from rtms_relay import handing, tasks
from rtms_relay.errors import QueueUnavailable, StoreUnavailable
from rtms_relay.handoff import documents
from rtms_relay.handoff.keys import idempotency_key, stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Answer

KEY_A, KEY_B = key_of(URLS_A), key_of(URLS_B, NOW + 5000)


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


# Every line of the log, whole

NAMES = {"stream": stream_key(STREAM), "entity_id": MEETING, "rtms_stream_id": STREAM}
IDS = {"handoff": KEY_A, **NAMES}


def attempt_line(severity: str, number: int, key: int, status: int, outcome: str, reason: str) -> dict[str, object]:
    line = {"severity": severity, "event": "attempt", "number": number, "key": key, "status": status, "outcome": outcome, "reason": reason}
    return {**line, **IDS}


async def test_what_is_said_of_a_start_and_of_its_try() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(10)
    seen = {"severity": "INFO", "event": "start_seen", "name": "meeting.rtms_started", **NAMES}
    assert bench.log.of("start_seen") == [{**seen, "copy": "home"}, {**seen, "copy": "second"}]
    assert bench.log.of("attempt") == [attempt_line("INFO", 1, 0, 201, "accepted", "")]


async def test_an_alarm_about_a_try_comes_once_for_one_answer_in_a_row() -> None:
    bench = Bench()
    bench.recall.script = [Answer(401), Answer(401), Answer(403), Answer(0, failure="unreachable")]
    await bench.zoom(started())
    await bench.run(30)
    lines = [(line["severity"], line["number"], line["key"], line["status"], line["outcome"]) for line in bench.log.of("attempt")]
    assert lines == [
        ("ALERT", 1, 0, 401, "made_nothing"),
        ("WARNING", 2, 1, 401, "made_nothing"),
        ("ALERT", 3, 2, 403, "made_nothing"),
        ("WARNING", 4, 3, 0, "made_nothing"),
        ("INFO", 5, 3, 201, "accepted"),
    ]


async def test_a_stalled_home_queue_is_said_with_the_hand_off_that_it_delayed() -> None:
    bench = Bench()
    bench.home.stalled = True
    await bench.zoom(started())
    await bench.run(10)
    what = "the copy in the second region came first"
    assert bench.log.of("home_stalled") == [{"severity": "ALERT", "event": "home_stalled", "what": what, **IDS}]


@pytest.mark.parametrize(("permanent", "severity"), [(False, "ERROR"), (True, "ALERT")])
async def test_a_store_that_is_away_is_said_with_the_stream(permanent: bool, severity: str) -> None:
    bench = Bench()

    async def trouble(_: str) -> None:
        raise StoreUnavailable("the store is away", permanent=permanent)

    bench.store.trouble = trouble
    await bench.zoom(started())
    await bench.run(4)
    line = {"severity": severity, "event": "store_away", "what": "the store is away", "stream": stream_key(STREAM)}
    assert bench.log.of("store_away")[0] == line
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]


@pytest.mark.parametrize(("code", "running"), [("processing", True), ("done", False)])
async def test_the_same_servers_again_are_said_with_whether_the_recording_runs(code: str, running: bool) -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code=code)
    again = bench.clock.now
    await bench.zoom(started(URLS_A, again))
    await bench.run(5)
    assert bench.log.of("start_again") == [{"severity": "NOTICE", "event": "start_again", "running": running, **IDS}]
    assert bench.facts().runs[0].newest_ts == (again if running else NOW)


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


async def test_a_second_mdc_is_said_and_changes_nothing() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="timeout"), lambda: Answer(0, failure="timeout")]
    await bench.zoom(started())
    await bench.run(0.1)
    await bench.run(20)
    handoff = bench.handoff()
    doubled = tasks.OutcomeNote(
        received_ms=NOW,
        start=tasks.Start(
            event="meeting.rtms_started", product="meeting", stream_id=STREAM, entity_id=MEETING, server_urls=URLS_A, event_ts=NOW
        ),
        posts=(tasks.Posted(kind="accepted", reason="", status=201, mdc_id="mdc-9", at=NOW + 9),),
    )
    reply = await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(doubled)))
    assert reply.body == {"status": "accepted"}
    line = {"severity": "ALERT", "event": "handoff_doubled", "mdc_id": handoff.attempt.mdc_id, "other": "mdc-9", **IDS}
    assert bench.log.of("handoff_doubled") == [line]
    noted = {"severity": "NOTICE", "event": "outcome_noted", "state": "accepted", "before": "accepted", **IDS}
    assert bench.log.of("outcome_noted") == [noted]
    assert bench.handoff().attempt.mdc_id == handoff.attempt.mdc_id


def test_how_long_it_waits() -> None:
    """A process that is asked to stop is noticed within a second; word of an outcome is insisted on for five."""
    assert (handing._SLICE_S, handing._OUTCOME_PATIENCE_MS, handing._AGAIN_PAUSE_S) == (1.0, 5_000, 2.0)


@pytest.mark.parametrize(("copy", "status"), [("home", "accepted"), ("second", "noted")])
async def test_a_copy_that_comes_after_its_start_was_handed_on_does_nothing_more(copy: tasks.Copy, status: str) -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(10)
    start = tasks.Start(
        event="meeting.rtms_started", product="meeting", stream_id=STREAM, entity_id=MEETING, server_urls=URLS_A, event_ts=NOW, copy=copy
    )
    reply = await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(start)))
    assert (reply.body, len(bench.recall.creates)) == ({"status": status}, 1)
    assert bench.log.of("home_stalled") == []


async def test_the_record_of_a_start_is_waited_for_two_seconds() -> None:
    bench, moments = Bench(), []

    async def hang(_: str) -> None:
        await bench.clock.sleep(60)

    log = bench.log

    class Timed:
        def __call__(self, severity: str, event: str, /, **fields: object) -> None:
            moments.append((event, bench.clock.monotonic_ms(), fields.get("what")))
            log(severity, event, **fields)

    bench.store.trouble = hang
    bench.log = Timed()  # ty: ignore[invalid-assignment]
    bench.worker = bench.new_worker()
    await bench.zoom(started())
    await bench.run(4)
    away = [(moment, what) for event, moment, what in moments if event == "store_away"]
    assert away[0] == (2_000, "note the start took longer than 2 s")


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


async def test_a_stalled_home_queue_is_said_of_new_hand_offs_only() -> None:
    bench = Bench()
    bench.home.stalled = True
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code="processing")
    await bench.zoom(started(URLS_A, bench.clock.now))
    await bench.run(10)
    assert (len(bench.log.of("start_again")), len(bench.log.of("home_stalled"))) == (1, 1)


@pytest.mark.parametrize(("copy", "status"), [("home", "accepted"), ("second", "noted")])
async def test_the_same_servers_again_while_it_records_are_answered(copy: tasks.Copy, status: str) -> None:
    bench = Bench()
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code="processing")
    start = tasks.Start(
        event="meeting.rtms_started",
        product="meeting",
        stream_id=STREAM,
        entity_id=MEETING,
        server_urls=URLS_A,
        event_ts=bench.clock.now,
        copy=copy,
    )
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


@pytest.mark.parametrize("when", ["during the try", "before the next one"])
async def test_a_store_that_goes_away_on_the_way_is_said_with_the_hand_off_and_the_answer_is_its_state(when: str) -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    body = bench.home.tasks[0].body
    bench.recall.script = [Answer(503)]

    async def trouble(_: str) -> None:
        raise StoreUnavailable("the store is away")

    async def go() -> None:
        bench.store.trouble = trouble

    moments = timed(bench, go if when == "during the try" else None)
    if when == "before the next one":
        bench.jobs.start(go_in(bench, go), "the store goes away")
    reply = await bench.clock.until_done(bench.worker.receive("/events", body))
    assert (reply.body, bench.posted_keys()) == ({"status": "accepted"}, [idempotency_key(KEY_A, 0)] * 2)
    line = {"severity": "ERROR", "event": "store_away", "what": "the store is away", **IDS}
    assert bench.log.of("store_away") == [line]
    assert moments == ([0, 1_000] if when == "during the try" else [0, 1_500])  # the store is asked for a second


async def test_pauses_are_the_same_without_the_store() -> None:
    bench = Bench()
    bench.second.stalled = True
    moments = timed(bench)

    async def trouble(_: str) -> None:
        raise StoreUnavailable("the store is away", permanent=True)

    bench.store.trouble = trouble
    bench.recall.script = [Answer(503), Answer(500)]
    await bench.zoom(started())
    await bench.run(10)
    assert moments == [0, 500, 1_500]


def timed(bench: Bench, during: Callable[[], Awaitable[None]] | None = None) -> list[float]:
    """When each POST comes, ms; `during` happens in each."""
    moments: list[float] = []

    async def note() -> None:
        moments.append(bench.clock.monotonic_ms())
        if during is not None:
            await during()

    bench.recall.during_create = note
    return moments


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
    handing_on = bench.worker._new_handing()
    task = tasks.decode(bench.home.tasks[0].body, "/events")
    assert isinstance(task, tasks.Start)
    noted = (await bench.clock.until_done(handing_on.note(task))).result
    paused = replace(noted.handoff, attempt=replace(noted.handoff.attempt, lease_until=None, next_at=bench.clock.now + 5_000))
    await stored(bench, paused)
    assert await bench.clock.until_done(handing_on.finish(paused, until_ms=patience_ms)) == state
    assert bench.clock.monotonic_ms() == at


async def stored(bench: Bench, handoff: HandOff) -> None:
    """Have this in the record."""
    found = await bench.store.get("handoffs", handoff.key)
    assert found is not None
    await bench.store.replace("handoffs", handoff.key, documents.handoff_fields(handoff, 86_400_000), found.version)


async def test_one_that_is_over_when_it_is_taken_up_again_is_said() -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    handing_on = bench.worker._new_handing()
    task = tasks.decode(bench.home.tasks[0].body, "/events")
    assert isinstance(task, tasks.Start)
    noted = (await bench.clock.until_done(handing_on.note(task))).result
    await bench.run(400)
    assert await bench.clock.until_done(handing_on.finish(noted.handoff)) == "expired"
    assert [line["severity"] for line in bench.log.of("handoff_expired")] == ["ALERT"]
    assert bench.recall.creates == []


async def test_an_answer_that_names_another_mdc_than_the_record_is_said() -> None:
    bench = Bench()

    async def meanwhile() -> None:
        bench.recall.during_create = None
        handoff = bench.handoff()
        await stored(bench, replace(handoff, attempt=replace(handoff.attempt, mdc_id="mdc-9", accepted_at=NOW, state="accepted")))

    bench.recall.during_create = meanwhile
    await bench.zoom(started())
    await bench.run(10)
    line = {"severity": "ALERT", "event": "handoff_doubled", "mdc_id": "mdc-9", "other": "mdc-1", **IDS}
    assert bench.log.of("handoff_doubled") == [line]
    assert bench.handoff().attempt.mdc_id == "mdc-9"


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


def without_store(bench: Bench) -> None:
    async def trouble(_: str) -> None:
        raise StoreUnavailable("the store is away", permanent=True)

    bench.store.trouble = trouble


async def test_word_of_a_post_without_the_store_that_nobody_takes_is_said_and_the_start_is_worth_more() -> None:
    bench = Bench()
    without_store(bench)
    await bench.zoom(started())
    bench.facts_queue.down = bench.second.down = True
    bench.second.tasks.clear()
    moments = timed(bench)
    await bench.run(30)
    stream = stream_key(STREAM)
    errors = [line for line in bench.log.of("error") if line["where"] in ("announce", "outcome")]
    said = {"what": "handoffs-second is down", "stream": stream}
    assert errors[0] == {"severity": "WARNING", "event": "error", "where": "announce", **said}
    assert errors[1] == {"severity": "ERROR", "event": "error", "where": "outcome", **said}
    assert moments[0] == 3_000  # a second and a half for each of the queues


async def test_word_of_a_post_without_the_store_is_a_task_of_events_in_either_region() -> None:
    for down in (False, True):
        bench = Bench()
        without_store(bench)
        await bench.zoom(started())
        bench.second.tasks.clear()
        bench.facts_queue.down = down
        bench.facts_queue.stalled = bench.second.stalled = True
        await bench.run(10)
        queue = bench.second if down else bench.facts_queue
        assert [task.path for task in queue.tasks] == ["/events"] * 2
        before, after = (tasks.decode(task.body, task.path) for task in queue.tasks)
        assert isinstance(before, tasks.OutcomeNote)
        assert isinstance(after, tasks.OutcomeNote)
        assert (before.posts, [post.mdc_id for post in after.posts]) == ((), ["mdc-1"])
        assert before.start.received_ms == after.start.received_ms == NOW


async def test_with_one_region_a_start_without_store_and_facts_is_posted_all_the_same() -> None:
    bench = Bench(HANDOFF_QUEUES="projects/p/locations/l/queues/q")
    del bench.queues["handoffs-second"]
    bench.worker = bench.new_worker()
    without_store(bench)
    await bench.zoom(started())
    bench.facts_queue.down = True
    await bench.run(3)
    assert len(bench.recall.creates) == 1
    assert [line["what"] for line in bench.log.of("error") if line["where"] == "announce"] == ["facts is down"]


async def go_in(bench: Bench, go: Callable[[], Awaitable[None]]) -> None:
    """While it waits for its second try."""
    await bench.clock.sleep(0.2)
    await go()


async def test_an_answer_that_accepts_nothing_names_no_mdc() -> None:
    bench = Bench()

    async def meanwhile() -> None:
        bench.recall.during_create = None
        handoff = bench.handoff()
        await stored(bench, replace(handoff, attempt=replace(handoff.attempt, mdc_id="mdc-9", accepted_at=NOW, state="accepted")))

    bench.recall.during_create = meanwhile
    bench.recall.script = [Answer(300, b'{"id":"m"}')]
    await bench.zoom(started())
    await bench.run(10)
    assert bench.log.of("handoff_doubled") == []
    assert bench.handoff().attempt.mdc_id == "mdc-9"


async def test_of_many_posts_without_the_store_the_last_twenty_are_told() -> None:
    bench = Bench()
    without_store(bench)
    await bench.zoom(started())
    bench.second.tasks.clear()
    bench.facts_queue.stalled = True
    bench.recall.script = [Answer(409)] * 100
    await bench.run(70)
    word = tasks.decode(bench.facts_queue.tasks[-1].body, "/events")
    assert isinstance(word, tasks.OutcomeNote)
    assert len(bench.recall.creates) > 40
    assert (len(word.posts), word.posts[-1].at) == (20, max(post.at for post in word.posts))


async def test_an_outcome_that_is_written_down_later_is_no_double() -> None:
    bench = Bench()
    without_store(bench)
    await bench.zoom(started())
    bench.facts_queue.stalled = True
    await bench.run(5)
    bench.store.trouble = nothing
    for task in bench.facts_queue.tasks:
        await bench.clock.until_done(bench.worker.receive("/events", task.body))
    assert (bench.state(), bench.log.of("handoff_doubled")) == ("accepted", [])


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


@pytest.mark.parametrize("resumed", [False, True])
async def test_word_of_a_try_says_which_start_it_answers(resumed: bool) -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = bench.facts_queue.stalled = True
    await bench.zoom(started())
    body = bench.home.tasks[0].body
    await bench.run(2)
    if resumed:
        handing_on = bench.worker._new_handing()
        task = tasks.decode(body, "/events")
        assert isinstance(task, tasks.Start)
        noted = (await bench.clock.until_done(handing_on.note(task))).result
        untried = replace(noted.handoff.attempt, lease_until=None, tries=0, next_at=bench.clock.now)
        await stored(bench, replace(noted.handoff, attempt=untried))
        body = tasks.encode(tasks.Resume(handoff=KEY_A))

    async def go() -> None:
        bench.recall.during_create = None
        without_store(bench)

    bench.recall.during_create = go
    await bench.clock.until_done(bench.worker.receive("/events", body))
    [word] = [tasks.decode(task.body, "/events") for task in bench.facts_queue.tasks]
    assert isinstance(word, tasks.OutcomeNote)
    at = NOW + 2_000 if resumed else NOW  # of the one that is resumed only the record is known
    assert (word.start.event, word.start.received_ms, word.received_ms) == ("" if resumed else "meeting.rtms_started", at, at)
    assert (word.start.entity_id, word.start.server_urls, word.start.event_ts) == (MEETING, URLS_A, NOW)


@pytest.mark.parametrize(
    ("answers", "event", "severity"),
    [([], "handoff_accepted", "NOTICE"), ([Answer(400)], "handoff_failed", "ALERT"), ([Answer(422)], "handoff_failed", "ALERT")],
)
async def test_what_a_try_came_to_while_the_store_went_away_is_said_once(answers: list[Answer], event: str, severity: str) -> None:
    """Without a record nothing else would say it; it was said only if the store was away from the beginning."""
    bench = Bench()

    async def go() -> None:
        bench.recall.during_create = None
        without_store(bench)

    bench.recall.during_create = go
    bench.recall.script = list(answers)
    bench.second.stalled = True
    await bench.zoom(started())
    await bench.run(5)
    said = [line for line in bench.log.lines if line["event"] in ("handoff_accepted", "handoff_failed", "handoff_expired")]
    assert [(line["event"], line["severity"], line["handoff"]) for line in said] == [(event, severity, KEY_A)]


async def test_another_host_fails_without_a_signature_also_without_the_store() -> None:
    bench = Bench()
    without_store(bench)
    await bench.zoom(started("wss://evil.example"))
    bench.second.tasks.clear()
    await bench.run(5)
    assert [line["severity"] for line in bench.log.of("handoff_failed")] == ["ALERT"]
    assert bench.recall.creates == []
