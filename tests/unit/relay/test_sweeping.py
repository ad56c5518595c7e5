"""The sweep and its probes, to the letter: what it counts and logs, where its limits are, what it puts on which queue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, started, stopped

from rtms_relay.enqueueing import look_name
from rtms_relay.errors import RecallUnavailable, StoreUnavailable
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Answer
from rtms_relay.sweeping import probe_path

QUEUES = ["facts", "handoffs", "handoffs-second", "retrievals"]


async def swept(bench: Bench, *, probe: bool = False) -> dict[str, Any]:
    """Sweep once; the line that it logs."""
    reply = await bench.clock.until_done(bench.worker.sweep(probe=probe))
    line = bench.log.of("sweep")[-1]
    assert reply.body == {name: value for name, value in line.items() if name not in ("severity", "event")}
    return line


async def ended(bench: Bench, streams: int) -> list[str]:
    """So many streams are accepted and ended, and the look at each is overdue with no task for it; their keys."""
    for number in range(streams):
        await bench.zoom(started(stream=f"s{number}"))
    await bench.run(10)
    bench.retrievals.down = True
    for number in range(streams):
        await bench.zoom(stopped(NOW + 12_000, stream=f"s{number}"))
    await bench.run(60)
    keys = [key_of(stream=f"s{number}") for number in range(streams)]
    assert all((bench.handoff(key).look_at or bench.clock.now + 1) <= bench.clock.now for key in keys)
    return keys


def mark(bench: Bench) -> dict[str, Any]:
    [(key, fields)] = bench.store.all("marks").items()
    assert key == "probe"
    return fields


# What is due


async def test_a_sweep_with_nothing_to_do_says_so_quietly() -> None:
    line = await swept(Bench())
    assert line == {"severity": "INFO", "event": "sweep", "due": 0, "handoffs": 0, "enqueued": 0, "looked": 0}


async def test_an_overdue_look_is_put_on_its_queue_under_the_name_of_its_moment() -> None:
    bench = Bench()
    [key] = await ended(bench, 1)
    bench.retrievals.down, bench.retrievals.stalled = False, True
    at = bench.handoff(key).look_at
    assert at is not None
    line = await swept(bench)
    assert (line["severity"], line["due"], line["handoffs"], line["enqueued"], line["looked"]) == ("INFO", 1, 0, 1, 0)
    [task] = bench.retrievals.tasks
    assert (task.path, task.name) == ("/retrieve", look_name(key, at // 30_000, 0))
    assert json.loads(task.body)["handoff"] == key


@pytest.mark.parametrize(("after_ms", "lost"), [(599_999, 0), (600_000, 1), (1_200_000, 2)])
async def test_a_look_counts_as_lost_after_ten_minutes_and_gets_another_name(after_ms: int, lost: int) -> None:
    bench = Bench()
    [key] = await ended(bench, 1)
    bench.retrievals.down, bench.retrievals.stalled = False, True
    at = bench.handoff(key).look_at
    assert at is not None
    await bench.clock.run(at + after_ms - bench.clock.now)
    await swept(bench)
    assert [task.name for task in bench.retrievals.tasks] == [look_name(key, at // 30_000, lost)]


async def test_without_the_queue_a_sweep_looks_itself_at_sixty_at_most() -> None:
    bench = Bench()
    await ended(bench, 61)
    line = await swept(bench)
    assert (line["severity"], line["due"], line["enqueued"], line["looked"]) == ("WARNING", 61, 0, 60)
    errors = bench.log.of("error", "ERROR")[-61:]
    assert {(error["where"], error["what"]) for error in errors} == {("sweep", "retrievals is down")}
    assert {error["handoff"] for error in errors} == {key_of(stream=f"s{number}") for number in range(61)}


async def test_a_sweep_begins_no_look_after_45_seconds() -> None:
    bench = Bench()
    await ended(bench, 10)
    look = bench.worker._recordings.look

    async def slow(key: str, *, copying: bool) -> Any:
        assert copying is False
        await bench.clock.sleep(9)
        return await look(key, copying=copying)

    bench.worker._recordings.look = slow  # ty: ignore[invalid-assignment]
    assert (await swept(bench))["looked"] == 5


async def test_a_look_that_fails_holds_up_no_other() -> None:
    bench = Bench()
    keys = await ended(bench, 3)

    async def fails(key: str, *, copying: bool) -> Any:
        raise RecallUnavailable(f"no look at {key[:4]}")

    bench.worker._recordings.look = fails  # ty: ignore[invalid-assignment]
    assert (await swept(bench))["looked"] == 3
    told = [(line["where"], line["what"], line["handoff"]) for line in bench.log.of("error", "ERROR") if line["where"] == "sweep look"]
    assert sorted(told) == sorted(("sweep look", f"no look at {key[:4]}", key) for key in keys)


async def test_a_pending_start_is_counted_and_handed_on_here() -> None:
    bench = Bench()
    await left_pending(bench)
    line = await swept(bench)
    assert (line["severity"], line["due"], line["handoffs"]) == ("WARNING", 1, 1)
    assert bench.state() == "accepted"


@pytest.mark.parametrize(("early_ms", "due"), [(1, 0), (0, 1)])
async def test_what_is_due_is_due_from_its_moment_on(early_ms: int, due: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(503)] * 2
    await bench.zoom(started())
    await bench.run(0.2)
    for queue in (bench.home, bench.second):
        await queue.close()
        queue.tasks.clear()
    at = bench.handoff().attempt.due_at
    assert at is not None
    await bench.clock.run(at - early_ms - bench.clock.now)
    assert (await swept(bench))["handoffs"] == due
    bench = Bench()
    [key] = await looked_for(bench)
    at = bench.handoff(key).look_at
    assert at is not None
    await bench.clock.run(at - early_ms - bench.clock.now)
    line = await swept(bench)
    assert line["looked"] + line["enqueued"] == due


async def looked_for(bench: Bench) -> list[str]:
    """One stream is accepted and ended; the look at it is still to come, and has no task."""
    await bench.zoom(started(stream="s0"))
    await bench.run(10)
    bench.retrievals.down = True
    await bench.zoom(stopped(bench.clock.now, stream="s0"))
    await bench.run(1)
    return [key_of(stream="s0")]


async def left_pending(bench: Bench) -> None:
    """A start whose first try failed and whose tasks are gone; its next try is due."""
    bench.recall.script = [Answer(503)]
    await bench.zoom(started())
    await bench.run(0.2)
    for queue in (bench.home, bench.second):
        await queue.close()
        queue.tasks.clear()
    await bench.run(1)
    assert bench.state() == "pending"


async def test_a_sweep_ends_when_its_hand_offs_have() -> None:
    bench = Bench()
    await left_pending(bench)

    async def slow() -> None:
        await bench.clock.sleep(7)

    bench.recall.during_create = slow
    await swept(bench)
    assert bench.state() == "accepted"


async def test_a_hand_off_that_fails_in_a_sweep_is_said_and_holds_up_nothing() -> None:
    bench = Bench()
    await left_pending(bench)

    class Failing:
        async def finish(self, handoff: HandOff, *, until_ms: float) -> str:
            raise StoreUnavailable("the store is away")

    bench.worker._sweep._new_handing = Failing  # ty: ignore[invalid-assignment]
    assert (await swept(bench))["handoffs"] == 1
    line = {"severity": "ERROR", "event": "error", "where": "sweep hand-off", "what": "the store is away", "handoff": key_of()}
    assert bench.log.of("error") == [line]


async def test_a_sweep_tries_a_start_for_45_seconds() -> None:
    bench = Bench(ZOOM_CONNECT_WINDOW_S="600")
    bench.recall.script = [Answer(503)] * 200
    await bench.zoom(started())
    await bench.run(0.2)
    for queue in (bench.home, bench.second):
        await queue.close()
        queue.tasks.clear()
    await bench.run(60)
    began = bench.clock.monotonic_ms()
    await swept(bench)
    assert 30_000 < bench.clock.monotonic_ms() - began <= 45_000
    assert bench.state() == "pending"


# Probes


async def test_no_probe_is_sent_unless_it_is_asked_for() -> None:
    bench = Bench()
    await bench.clock.until_done(bench.worker._sweep.run())
    assert bench.store.all("marks") == {}


async def test_a_probe_is_one_task_for_each_queue_and_one_mark() -> None:
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    await swept(bench, probe=True)
    number = str(NOW)
    assert mark(bench) == {"number": number, "sent_at": NOW, "waiting": QUEUES, "alarmed": False, "created_at": NOW}
    for name, queue in bench.queues.items():
        [task] = queue.tasks
        assert task.path == probe_path(name) == ("/retrieve" if name == "retrievals" else "/events")
        body = json.loads(task.body)
        assert (body["kind"], body["queue"], body["number"], body["received_ms"]) == ("probe", name, number, NOW)


async def test_a_queue_that_takes_no_probe_is_an_alert_that_names_it() -> None:
    bench = Bench()
    bench.facts_queue.down = True
    await swept(bench, probe=True)
    assert bench.log.of("probe_missing") == [{"severity": "ALERT", "event": "probe_missing", "queues": ["facts"], "what": "facts is down"}]


async def test_what_has_come_back_is_waited_for_no_more() -> None:
    bench = Bench()
    bench.second.stalled = True
    await swept(bench, probe=True)
    await bench.run(1)
    assert mark(bench)["waiting"] == ["handoffs-second"]
    assert sorted(line["queue"] for line in bench.log.of("probe_arrived", "INFO")) == ["facts", "handoffs", "retrievals"]


@pytest.mark.parametrize(("after_ms", "alerts"), [(59_999, 0), (60_000, 1)])
async def test_a_probe_is_missing_after_a_minute_and_said_once(after_ms: int, alerts: int) -> None:
    bench = Bench()
    bench.second.stalled = True
    await swept(bench, probe=True)
    await bench.clock.run(after_ms)
    for _ in range(3):
        await swept(bench)
    what = "a task did not arrive within a minute; is the queue paused or stalled?"
    alert = {"severity": "ALERT", "event": "probe_missing", "queues": ["handoffs-second"], "what": what}
    assert bench.log.of("probe_missing") == [alert] * alerts
    assert mark(bench)["alarmed"] is bool(alerts)
    assert (mark(bench)["number"], mark(bench)["waiting"]) == (str(NOW), ["handoffs-second"])


@pytest.mark.parametrize(("after_ms", "severity"), [(60_000, "INFO"), (60_001, "WARNING")])
async def test_a_probe_that_comes_late_is_a_warning(after_ms: int, severity: str) -> None:
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    await swept(bench, probe=True)
    [task] = bench.home.tasks
    await bench.clock.run(after_ms)
    await bench.clock.until_done(bench.worker.receive(task.path, task.body))
    assert bench.log.of("probe_arrived") == [{"severity": severity, "event": "probe_arrived", "queue": "handoffs", "after_ms": after_ms}]


async def test_the_probe_of_another_day_changes_nothing() -> None:
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    await swept(bench, probe=True)
    [old] = bench.home.tasks
    await bench.clock.run(86_400_000)
    await swept(bench, probe=True)
    await bench.clock.until_done(bench.worker.receive(old.path, old.body))
    assert mark(bench) == {
        "number": str(NOW + 86_400_000),
        "sent_at": NOW + 86_400_000,
        "waiting": QUEUES,
        "alarmed": False,
        "created_at": NOW + 86_400_000,
    }
