"""What is said of a start on its way: every line of the log, whole."""

from __future__ import annotations

import pytest
from tests.ports.bench import Bench
from tests.ports.events import NOW, URLS_A, started
from tests.unit.relay.handing.playing import (
    IDS,
    NAMES,
    meanwhile_accepted,
    start_task,
    taken,
)

from rtms_relay import tasks
from rtms_relay.ports import Answer


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


async def test_a_second_mdc_is_said_and_changes_nothing() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="timeout"), lambda: Answer(0, failure="timeout")]
    await bench.zoom(started())
    await bench.run(0.1)
    await bench.run(20)
    handoff = bench.handoff()
    doubled = tasks.OutcomeNote(
        received_ms=NOW,
        start=start_task(),
        posts=(tasks.Posted(kind="accepted", reason="", status=201, mdc_id="mdc-9", at=NOW + 9),),
    )
    reply = await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(doubled)))
    assert reply.body == {"status": "accepted"}
    line = {"severity": "ALERT", "event": "handoff_doubled", "mdc_id": handoff.attempt.mdc_id, "other": "mdc-9", **IDS}
    assert bench.log.of("handoff_doubled") == [line]
    noted = {"severity": "NOTICE", "event": "outcome_noted", "state": "accepted", "before": "accepted", **IDS}
    assert bench.log.of("outcome_noted") == [noted]
    assert bench.handoff().attempt.mdc_id == handoff.attempt.mdc_id


async def test_a_stalled_home_queue_is_said_of_new_hand_offs_only() -> None:
    bench = Bench()
    bench.home.stalled = True
    await bench.zoom(started(URLS_A))
    await bench.run(120)
    bench.recall.record("mdc-1", code="processing")
    await bench.zoom(started(URLS_A, bench.clock.now))
    await bench.run(10)
    assert (len(bench.log.of("start_again")), len(bench.log.of("home_stalled"))) == (1, 1)


async def test_one_that_is_over_when_it_is_taken_up_again_is_said() -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    handing_on, handoff = await taken(bench)
    await bench.run(400)
    assert await bench.clock.until_done(handing_on.finish(handoff)) == "expired"
    assert [line["severity"] for line in bench.log.of("handoff_expired")] == ["ALERT"]
    assert bench.recall.creates == []


async def test_an_answer_that_names_another_mdc_than_the_record_is_said() -> None:
    bench = Bench()

    bench.recall.during_create = meanwhile_accepted(bench, "mdc-9")
    await bench.zoom(started())
    await bench.run(10)
    line = {"severity": "ALERT", "event": "handoff_doubled", "mdc_id": "mdc-9", "other": "mdc-1", **IDS}
    assert bench.log.of("handoff_doubled") == [line]
    assert bench.handoff().attempt.mdc_id == "mdc-9"


async def test_an_answer_that_accepts_nothing_names_no_mdc() -> None:
    bench = Bench()

    bench.recall.during_create = meanwhile_accepted(bench, "mdc-9")
    bench.recall.script = [Answer(300, b'{"id":"m"}')]
    await bench.zoom(started())
    await bench.run(10)
    assert bench.log.of("handoff_doubled") == []
    assert bench.handoff().attempt.mdc_id == "mdc-9"
