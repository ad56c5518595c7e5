"""What may have become of a start that the worker has no hand-off of: acked and still in a queue, never delivered, or never acked."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from rtms_simulator.cli.pages import RUNBOOK
from rtms_simulator.cli.records.worker import AskedWorker

if TYPE_CHECKING:
    from rtms_simulator.control.descriptions import UpDescription
    from rtms_simulator.kit.worker_answers import StreamFacts

STATEMENT = "SELECT queue, due_at, failures, last_failure FROM tasks WHERE done_at IS NULL AND instr(body, ?) > 0 ORDER BY due_at LIMIT 20"
"""Of the file in which `rtmskit serve` keeps its queues (rtms_relay.adapters.local_queue)."""


class WaitingTask(NamedTuple):
    """A task in which the id occurs, which the worker has not done yet. `due_at`: ms."""

    queue: str
    due_at: int
    attempts: int
    trouble: str


def waiting(worker: AskedWorker, text: str) -> list[WaitingTask] | None:
    """The tasks that wait for the worker and name `text`; None: from here the queues cannot be seen."""
    if worker.up:
        return _of_up(worker.up, text)
    if worker.serve:
        return _of_serve(worker.serve.queue_file, text)
    return None


def _of_up(described: UpDescription, text: str) -> list[WaitingTask]:
    from rtms_simulator.cli.fakes.running import ask
    from rtms_simulator.control.answers import TaskDetail, TaskList

    tasks = []
    for row in ask(described, "/tasks", TaskList, query={"state": "waiting", "limit": "1000"}).tasks:
        if text in ask(described, f"/tasks/{quote(row.id, safe='')}", TaskDetail).body:
            last = row.attempts[-1] if row.attempts else None
            trouble = "" if last is None else last.failure or f"answered {last.status}"
            tasks.append(WaitingTask(row.queue, int(row.due_at * 1000), len(row.attempts), trouble))
    return tasks


def _of_serve(queue_file: str, text: str) -> list[WaitingTask] | None:
    try:
        connection = sqlite3.connect(f"file:{quote(queue_file)}?mode=ro", uri=True, timeout=2.0)
        try:
            return [WaitingTask(*row) for row in connection.execute(STATEMENT, (text.encode("utf-8", "surrogateescape"),))]
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def explained(worker: AskedWorker, text: str, stream: StreamFacts | None, tasks: list[WaitingTask] | None) -> Iterator[str]:
    """What may have become of it, the likeliest first, and where to look."""
    yield f"No hand-off is on record for {text!r} as a meeting, stream, MDC or the beginning of an id."
    if stream is not None and stream.known:
        yield from _known(stream)
    if tasks:
        yield "The webhook acked it, and the worker does not have it yet:"
        for task in tasks:
            due = datetime.fromtimestamp(task.due_at / 1000, UTC).strftime("%H:%M:%S UTC")
            tried = f", {task.attempts} failed attempts ({task.trouble})" if task.attempts else ""
            yield f"  a task waits in the queue {task.queue}, due {due}{tried}"
        yield "A queue repeats a task until the worker takes it; a start can be joined for 60 s."
    elif tasks is not None:
        yield "No task waits for it in a queue, so the webhook has acked nothing of it that the worker does not have."
    yield from _where(worker, text, queues_visible=tasks is not None)
    yield f"More: {RUNBOOK}#not-on-record"


def _known(stream: StreamFacts) -> Iterator[str]:
    yield "The worker knows the stream, and no start of it:"
    if stream.revoked_ts is not None:
        yield "  the right to keep it was withdrawn (stop_reason 8)"
    elif stream.stopped_ts is not None:
        yield f"  its end came ({stream.stop or 'without a reason'}); the start is late, or was refused, or Zoom never sent it"
    elif stream.interrupted_ts is not None:
        yield "  an interruption came; the start is late, or was refused, or Zoom never sent it"


def _where(worker: AskedWorker, text: str, *, queues_visible: bool) -> Iterator[str]:
    key = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    if worker.kind == "deployed":
        yield "Look for it in the webhook's log (Logs Explorer):"
        yield f'  jsonPayload.rtms_stream_id="{text}" OR jsonPayload.entity_id="{text}" OR jsonPayload.stream="{key}"'
    else:
        yield f"Look for it in the lines that `rtmskit {worker.kind}` prints."
    yield "  start_acked and no start_seen   the task is in a queue: paused, stalled, or the worker refuses it"
    yield "  delivery_refused                a signature or a time stamp was wrong: is the Secret Token the app's?"
    yield "  neither                         Zoom never sent it: is the app installed, its event subscription validated?"
    if not queues_visible:
        yield "The queues cannot be seen from here: Cloud Tasks in Google's console, queues handoffs in both regions."
