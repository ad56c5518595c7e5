"""One task at the worker: what it answers, what it logs, what it keeps, and which look it asks for. The rules are tested where they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from tests.ports.bench import Bench, key_of
from tests.ports.events import ENVIRON, MEETING, NOW, STREAM, started
from tests.ports.values import FACTS

from rtms_relay import settings
from rtms_relay.budgets import Rules
from rtms_relay.enqueueing import look_name
from rtms_relay.errors import TaskUnusable
from rtms_relay.handoff import documents
from rtms_relay.handoff.facts import Run
from rtms_relay.handoff.keys import stream_key
from rtms_relay.ports import Answer
from rtms_relay.replies import Reply
from rtms_relay.worker import Worker, rules

KEY = key_of()
STREAM_KEY = stream_key(STREAM)
DAY_MS = 86_400_000
ABOUT = {"stream": STREAM_KEY, "rtms_stream_id": STREAM}


async def receive(bench: Bench, task: Mapping[str, Any] | bytes, path: str = "/events", due_ms: int | None = None) -> Reply:
    body = task if isinstance(task, bytes) else json.dumps({"v": 2, **task}).encode()
    return await bench.clock.until_done(bench.worker.receive(path, body, due_ms))


def start(**more: Any) -> dict[str, Any]:
    payload = started()["payload"]
    known = {"kind": "start", "event": "meeting.rtms_started", "product": "meeting", "stream_id": STREAM, "entity_id": MEETING}
    return {**known, "received_ms": NOW, "server_urls": payload["server_urls"], "event_ts": NOW, **more}


def stop(reason: int = 6, ts: int = NOW + 12_000) -> dict[str, Any]:
    known = {"kind": "stop", "event": "meeting.rtms_stopped", "product": "meeting", "stream_id": STREAM, "entity_id": MEETING}
    return {**known, "received_ms": ts, "event_ts": ts, "stop_reason": reason}


async def accepted(bench: Bench) -> None:
    await receive(bench, start())
    assert bench.state() == "accepted"


def test_the_rules_are_the_settings_in_milliseconds() -> None:
    environ = {
        "ZOOM_CONNECT_WINDOW_S": "59",
        "RECALL_TIMEOUT_S": "11",
        "RETRIEVAL_POLL_S": "1234",
        "RETRIEVAL_GIVE_UP_S": "86399",
    }
    assert rules(settings.load(ENVIRON | environ, "worker")) == Rules(59_000, 11_000, 1_234_000, 86_399_000)


async def test_a_record_is_kept_for_the_days_that_the_setting_names() -> None:
    bench = Bench(RECORDS_KEEP_DAYS="40.5", RETRIEVAL_GIVE_UP_S="3600")
    await accepted(bench)
    await bench.live(2 * 86_400)
    fields = bench.store.all("handoffs")[KEY]
    assert bench.handoff().retrieval.state == "none_made"
    assert fields["expires_at"] == fields["created_at"] + int(40.5 * DAY_MS)


# Zoom's events


async def test_a_start_is_answered_with_the_state_that_it_came_to() -> None:
    reply = await receive(Bench(), start())
    assert reply == Reply({"status": "accepted"}, {"name": "meeting.rtms_started", "outcome": "accepted", **ABOUT})


async def test_a_stop_is_noted_with_its_reason_and_how_many_hand_offs_it_concerns() -> None:
    bench = Bench()
    await accepted(bench)
    reply = await receive(bench, stop(6))
    assert reply == Reply({"status": "noted"}, {"name": "meeting.rtms_stopped", "outcome": "noted", **ABOUT})
    [line] = bench.log.of("stream_stopped")
    assert line.items() >= {"severity": "NOTICE", "name": "meeting.rtms_stopped", "stop_reason": 6, "handoffs": 1, **ABOUT}.items()
    assert not bench.log.of("stream_revoked")


async def test_a_revocation_has_a_line_of_its_own() -> None:
    bench = Bench()
    await accepted(bench)
    await receive(bench, stop(8))
    [line] = bench.log.of("stream_revoked")
    assert line.items() >= {"severity": "NOTICE", "stop_reason": 8, "handoffs": 1, "rtms_stream_id": STREAM}.items()
    assert not bench.log.of("stream_stopped")


async def test_a_stop_before_the_hand_off_cancels_it_and_says_so() -> None:
    bench = Bench()
    bench.recall.script = [Answer(503)] * 50
    await bench.zoom(started())
    await bench.run(0.2)
    await receive(bench, stop(ts=bench.clock.now))
    assert bench.state() == "cancelled"
    [line] = bench.log.of("handoff_changed")
    assert line.items() >= {"severity": "NOTICE", "before": "pending", "state": "cancelled", "handoff": KEY}.items()


async def test_of_a_stream_that_moved_a_hundred_times_the_last_ninety_hand_offs_are_settled() -> None:
    """One commit holds 500 writes at most (Firestore docs, "Quotas"), and what is older has been superseded long since."""
    bench = Bench()
    runs = tuple(Run(key=f"{number:064x}", server_urls=f"wss://{number}", epoch=number, newest_ts=number) for number in range(100))
    fields = documents.facts_fields(replace(FACTS, key=STREAM_KEY, stream_id=STREAM, runs=runs), DAY_MS)
    bench.store.documents["streams", STREAM_KEY] = (1, fields)
    read: list[str] = []
    get = bench.store.get

    async def watched(collection: Any, key: str) -> Any:
        read.append(key)
        return await get(collection, key)

    bench.store.get = watched
    await receive(bench, stop())
    assert read == [STREAM_KEY, *(run.key for run in runs[10:])]


async def test_the_outcome_of_a_start_without_the_store_is_answered_with_its_state() -> None:
    bench = Bench()
    posts = [{"kind": "accepted", "reason": "", "status": 201, "mdc_id": "mdc-7", "at": NOW}]
    reply = await receive(bench, {"kind": "outcome", "received_ms": NOW, "start": {"v": 2, **start()}, "posts": posts})
    assert reply == Reply({"status": "accepted"}, {"name": "meeting.rtms_started", "outcome": "accepted", **ABOUT})
    assert bench.handoff().attempt.mdc_id == "mdc-7"


async def test_an_interruption_without_servers_is_noted() -> None:
    bench = Bench()
    await accepted(bench)
    event = {"kind": "interruption", "event": "meeting.rtms_interrupted", "product": "meeting", "stream_id": STREAM, "entity_id": MEETING}
    reply = await receive(bench, {**event, "received_ms": NOW, "event_ts": NOW + 5_000})
    assert reply == Reply({"status": "noted"}, {"name": "meeting.rtms_interrupted", "outcome": "noted", **ABOUT})
    assert bench.facts().interrupted_ts == NOW + 5_000


# What cannot be used


async def test_an_event_that_cannot_be_used_is_kept_for_thirty_days_as_it_came_first() -> None:
    bench = Bench()
    task: dict[str, Any] = {"kind": "unusable", "vendor": "zoom", "reason": "no stream", "event": "meeting.rtms_started", "keys": ["event"]}
    task |= {"copy": '{"event":1}', "received_ms": NOW - 7}
    key = hashlib.sha256(b'{"event":1}').hexdigest()
    assert await receive(bench, task) == Reply({"status": "kept"}, {"outcome": "kept", "kept": key})
    kept: dict[str, Any] = {
        "vendor": "zoom",
        "reason": "no stream",
        "event": "meeting.rtms_started",
        "keys": ["event"],
        "copy": '{"event":1}',
    }
    kept |= {"received_at": NOW - 7, "created_at": NOW, "expires_at": NOW + 30 * DAY_MS}
    assert bench.store.all("unusable") == {key: kept}
    await bench.run(1)
    await receive(bench, {**task, "reason": "another"})
    assert bench.store.all("unusable") == {key: kept}


@pytest.mark.parametrize("known_by", ["the task", "its queue"])
async def test_a_task_that_cannot_be_read_is_kept_and_repeated_for_one_window(known_by: str) -> None:
    bench = Bench()
    body = json.dumps({"v": 9, "kind": "start", **({"received_ms": NOW} if known_by == "the task" else {})}).encode()
    due = None if known_by == "the task" else NOW
    await bench.clock.run(59_999)
    with pytest.raises(TaskUnusable, match="version 9"):
        await receive(bench, body, due_ms=due)
    await bench.clock.run(1)
    key = hashlib.sha256(body).hexdigest()
    reply = await receive(bench, body, due_ms=due)
    reason = reply.body["reason"]
    assert reply == Reply({"status": "unusable", "reason": reason}, {"outcome": "unusable", "kept": key})
    lines = bench.log.of("task_unusable")
    shown = {"severity": "ALERT", "event": "task_unusable", "reason": reason, "bytes": len(body), "kept": key}
    assert lines == [{**shown, "over": False}, {**shown, "over": True}]
    first = NOW + 59_999
    kept = {"reason": reason, "copy": body.decode(), "received_at": NOW, "created_at": first, "expires_at": first + 30 * DAY_MS}
    assert bench.store.all("unusable") == {key: kept}


async def test_of_a_task_that_cannot_be_read_sixteen_kilobytes_are_kept() -> None:
    bench = Bench()
    body = b"\xff" * 20_000
    await bench.clock.run(60_000)
    await receive(bench, body, due_ms=NOW)
    [kept] = bench.store.all("unusable").values()
    assert kept["copy"] == "\N{REPLACEMENT CHARACTER}" * 16_384


async def test_a_task_of_which_nobody_knows_when_it_came_is_over_at_once() -> None:
    bench = Bench()
    assert (await receive(bench, b"{")).body["status"] == "unusable"
    [kept] = bench.store.all("unusable").values()
    assert kept["received_at"] == 0


# Looks


@pytest.mark.parametrize("handoff", ["f" * 64, "F" * 64, "f" * 63, "f" * 65, "../secrets"])
async def test_a_look_at_what_nobody_knows_is_answered_and_changes_nothing(handoff: str) -> None:
    bench = Bench()
    task = {"kind": "look", "handoff": handoff, "message": "msg_1", "recording_id": "rec-1"}
    assert await receive(bench, task, "/retrieve") == Reply({"status": "unknown"}, {"outcome": "unknown"})
    assert bench.untouched
    assert bench.log.lines == []


async def test_a_look_is_answered_with_the_state_and_says_once_what_recall_announced() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1", code="processing")
    task = {"kind": "look", "handoff": KEY, "message": "msg_1", "recording_id": "rec-1"}
    line = {"severity": "INFO", "event": "recall_event", "handoff": KEY, "recording": "rec-1"}
    for lines in ([line], []):
        reply = await receive(bench, task, "/retrieve")
        assert reply == Reply({"status": "awaiting"}, {"outcome": "awaiting", "handoff": KEY, "stream": STREAM_KEY})
        assert bench.log.of("recall_event") == lines
        bench.log.lines.clear()


async def test_a_look_that_finds_nothing_yet_puts_the_next_one_on_its_queue() -> None:
    bench = Bench()
    await accepted(bench)
    bench.retrievals.stalled = True
    await receive(bench, stop())
    bench.retrievals.tasks.clear()
    await bench.run(20)
    reply = await receive(bench, {"kind": "look", "handoff": KEY}, "/retrieve")
    assert reply.body == {"status": "awaiting"}
    at = bench.handoff().look_at
    assert at is not None
    assert at > bench.clock.now
    assert [(task.path, task.due) for task in bench.retrievals.tasks] == [("/retrieve", at)]


async def test_a_look_at_a_revoked_one_is_answered_with_where_its_erasure_stands() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    await receive(bench, stop(8))
    reply = await receive(bench, {"kind": "look", "handoff": KEY}, "/retrieve")
    assert reply.body == {"status": bench.handoff().erasure.state}
    assert bench.recall.deleted == ["rec-1"]


async def test_a_start_that_is_resumed_goes_on_and_one_that_nobody_knows_is_answered() -> None:
    bench = Bench()
    await accepted(bench)
    for handoff, state in ((KEY, "accepted"), ("f" * 64, "unknown"), ("../secrets", "unknown")):
        reply = await receive(bench, {"kind": "resume", "handoff": handoff})
        assert reply == Reply({"status": state}, {"outcome": state, "handoff": handoff})


async def test_a_look_is_on_its_queue_as_soon_as_it_is_known_when() -> None:
    """20 s after the end of a stream; the sweep would see it, too."""
    bench = Bench()
    await accepted(bench)
    bench.retrievals.stalled = True
    await receive(bench, stop())
    at = bench.handoff().look_at
    assert at is not None
    [task] = bench.retrievals.tasks
    assert (task.path, task.name, json.loads(task.body)["handoff"], task.due) == ("/retrieve", look_name(KEY, at // 30_000), KEY, at)
    # Nothing new is asked for when nothing changed.
    await receive(bench, stop())
    assert len(bench.retrievals.tasks) == 1


@pytest.mark.parametrize(("ahead_ms", "tasks"), [(300_000, 1), (300_001, 0)])
async def test_a_look_that_is_more_than_five_minutes_away_is_left_to_the_sweep(ahead_ms: int, tasks: int) -> None:
    bench = Bench()
    await accepted(bench)
    bench.retrievals.stalled = True
    before = bench.handoff()
    after = replace(before, retrieval=replace(before.retrieval, look_at=bench.clock.now + ahead_ms))
    await bench.clock.until_done(bench.worker._enqueue_look(before, after))
    assert len(bench.retrievals.tasks) == tasks


async def test_a_look_that_no_queue_takes_is_a_warning_and_no_failure() -> None:
    bench = Bench()
    await accepted(bench)
    bench.retrievals.down = True
    assert (await receive(bench, stop())).body == {"status": "noted"}
    assert bench.log.of("error") == [
        {"severity": "WARNING", "event": "error", "where": "enqueue", "what": "retrievals is down", "handoff": KEY}
    ]


async def test_a_probe_that_arrives_is_waited_for_no_more_and_a_check_ups_task_belongs_to_it() -> None:
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    await bench.clock.until_done(bench.worker.sweep(probe=True))
    [probe] = bench.facts_queue.tasks
    await receive(bench, probe.body)
    [mark] = [fields for key, fields in bench.store.all("marks").items() if key == "probe"]
    assert mark["waiting"] == ["handoffs", "handoffs-second", "retrievals"]
    shown = await bench.clock.until_done(bench.worker.checkup.begin())
    _, task = bench.facts_queue.tasks
    await receive(bench, task.body)
    checked = await bench.clock.until_done(bench.worker.checkup.show(shown.number))
    assert {queue.name: queue.after_ms for queue in checked.queues} == {
        "facts": 0,
        "handoffs": None,
        "handoffs-second": None,
        "retrievals": None,
    }


async def test_a_sweep_sends_no_probe_unless_it_is_asked_to() -> None:
    bench = Bench()
    reply = await bench.clock.until_done(bench.worker.sweep())
    assert reply == Reply({"due": 0, "handoffs": 0, "enqueued": 0, "looked": 0}, {"outcome": "swept"})
    assert bench.untouched


async def test_a_worker_that_nobody_asks_to_stop_waits_for_its_next_try() -> None:
    bench = Bench()
    seams = (bench.clock, bench.jobs, bench.randomness, bench.log)
    bench.worker = Worker(settings.load(ENVIRON, "worker"), bench.store, bench.queues, *seams, bench.recall)
    bench.recall.script = [Answer(503)]
    assert (await receive(bench, start())).body == {"status": "accepted"}


async def test_a_probe_is_answered_and_names_its_queue() -> None:
    reply = await receive(Bench(), {"kind": "probe", "queue": "facts", "number": "1", "received_ms": NOW})
    assert reply == Reply({"status": "arrived"}, {"outcome": "probe", "queue": "facts"})
