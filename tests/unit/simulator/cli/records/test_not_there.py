"""A start that was acked and that the worker does not have yet: seen in the queues of `serve` and of `up`, and explained."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.ports.events import MEETING, NOW, STREAM
from tests.ports.time import Time
from tests.unit.simulator.descriptions import a_serve, an_up

from rtms_relay import tasks
from rtms_relay.adapters.local_queue import LocalQueue
from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.records import not_there
from rtms_simulator.cli.records.worker import AskedWorker
from rtms_simulator.control.answers import TaskAttemptRow, TaskDetail, TaskList, TaskRow

START = tasks.Start(
    event="meeting.rtms_started", product="meeting", stream_id=STREAM, entity_id=MEETING, server_urls="wss://rtms-a.zoom.us", event_ts=NOW
)


def queued(path: Path) -> None:
    """The file of a `serve` that holds one start."""

    async def put() -> None:
        queue = LocalQueue(str(path), "handoffs", Time(NOW))
        await queue.enqueue("/events", tasks.encode(START), not_before_ms=NOW + 5_000)
        await queue.close()

    asyncio.run(put())


def of_serve(path: Path) -> AskedWorker:
    return AskedWorker("http://127.0.0.1:1", "", serve=a_serve(queue_file=str(path)))


@pytest.mark.parametrize("text", [STREAM, MEETING])
def test_a_start_that_waits_in_the_file_of_serve_is_found_by_stream_and_meeting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "queue ?#.sqlite"
    queued(path)
    found = not_there.waiting(of_serve(path), text)
    assert found == [not_there.WaitingTask("handoffs", NOW + 5_000, 0, "")]
    assert not_there.waiting(of_serve(path), "another") == []
    said = "\n".join(not_there.explained(of_serve(path), text, None, found))
    assert "The webhook acked it, and the worker does not have it yet" in said
    assert "a task waits in the queue handoffs, due 09:00:05 UTC" in said


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be taken for the header of one" * 20])
def test_a_file_that_cannot_be_read_is_no_empty_queue(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "queue.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert not_there.waiting(of_serve(path), STREAM) is None
    said = "\n".join(not_there.explained(of_serve(path), STREAM, None, None))
    assert "The queues cannot be seen from here" in said
    assert "No task waits" not in said


def test_a_task_of_up_is_found_by_its_body_with_what_its_attempts_met(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = TaskAttemptRow(number=1, scheduled_at=1.0, dispatched_at=1.0, responded_at=2.0, status=503, failure=None, duplicate=False)
    row = TaskRow(
        id="t/1", name="n", queue="handoffs", location="l", url="u", state="waiting", created_at=1.0, due_at=NOW / 1000, attempts=[attempt],
        meeting=None, stream=None,
    )  # fmt: skip
    asked: list[str] = []

    def ask(_described: object, path: str, answer: type, **_options: object) -> object:
        asked.append(path)
        return TaskList(tasks=[row]) if answer is TaskList else TaskDetail(task=row, body=json.dumps({"stream_id": STREAM}))

    monkeypatch.setattr(running, "ask", ask)
    up = AskedWorker("http://127.0.0.1:1", "", up=an_up())
    assert not_there.waiting(up, STREAM) == [not_there.WaitingTask("handoffs", NOW, 1, "answered 503")]
    assert asked == ["/tasks", "/tasks/t%2F1"]
    assert not_there.waiting(up, "another") == []
    assert not_there.waiting(AskedWorker("https://w", ""), STREAM) is None
