"""Queues and tasks, and when each task goes out: the fake without its gRPC face.

Everything happens on the Clock that is passed in. Operations raise `Refused` with the gRPC status that Google documents.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
from google.cloud import tasks_v2

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.dispatch import Attempt, Dispatch, Outcome, Sender, succeeded
from rtms_simulator.cloud_tasks.messages import Refused, limits_of, moment, queue_message, retry_message, retry_of
from rtms_simulator.cloud_tasks.rules import DEFAULT_DEADLINE_S, RETENTION_S, THROTTLING_STATUSES, Bucket, Faults, Limits, Retry, Switches

TaskState = Literal["waiting", "done", "exhausted", "expired", "deleted", "purged", "lost"]
"""`waiting` is the only state of a live task; it may be `running` at the same time. The others are ends."""

_CLEAN_NAMES = 4096
"""How many taken names are held before those that have become free are looked for."""


@dataclass(slots=True)
class TaskRecord:
    """One task and all that happened to it. `task` is the message as created, with its name filled in.

    `ticket` is its valid place in the queue's line, None while it has none: it is under way, or has ended.
    """

    task: tasks_v2.Task
    sequence: int
    created_at: float
    due_at: float
    state: TaskState = "waiting"
    ticket: int | None = None
    running: int = 0
    failures: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def responses(self) -> int:
        return sum(attempt.status is not None for attempt in self.attempts)


@dataclass(slots=True)
class QueueRecord:
    """One queue: its message (the settings as Google shows them), its live tasks, and who is next."""

    message: tasks_v2.Queue
    bucket: Bucket
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    line: list[tuple[float, int, int, TaskRecord]] = field(default_factory=list)
    """When, in which order of creation, by which ticket, who. Entries whose ticket is no longer their task's do not count."""
    running: int = 0

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def paused(self) -> bool:
        return self.message.state == tasks_v2.Queue.State.PAUSED


class Broker:
    """Takes tasks and sends them out. `history` bounds how many finished tasks are remembered for `tasks()`."""

    def __init__(self, clock: Clock, sender: Sender, *, rng: random.Random, switches: Switches, history: int) -> None:
        self._clock = clock
        self._sender = sender
        self._rng = rng
        self._switches = switches
        self.faults = Faults()
        self._queues: dict[str, QueueRecord] = {}
        self._finished: deque[TaskRecord] = deque(maxlen=history)
        self._taken_names: dict[str, float] = {}
        self._clean_names_at = _CLEAN_NAMES
        self._taken_queues: dict[str, float] = {}
        self._sequence = itertools.count(1)
        self._changed = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None

    # Life

    def start(self) -> None:
        self._pump = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        stopping = [*self._attempts, *([self._pump] if self._pump is not None else [])]
        self._pump = None
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)

    async def settled(self) -> None:
        """Return when no attempt is under way and none is due, at the clock's present time."""
        while self._attempts or self._any_ready():
            if self._pump is None or self._pump.done():
                return
            if self._attempts:
                await asyncio.wait(set(self._attempts))
            await self._clock.sleep(0)

    def reset(self) -> None:
        """Forget every queue, task, name and fault; what is under way is cut off."""
        for attempt in self._attempts:
            attempt.cancel()
        self._queues.clear()
        self._finished.clear()
        self._taken_names.clear()
        self._taken_queues.clear()
        self.faults.clear()
        self._changed.set()

    # Queues

    def queues(self) -> list[QueueRecord]:
        return sorted(self._queues.values(), key=lambda queue: queue.name)

    def queue(self, name: str) -> QueueRecord:
        found = self._queues.get(name)
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Queue does not exist: {name}")
        return found

    def create_queue(self, wanted: tasks_v2.Queue) -> QueueRecord:
        now = self._clock.now()
        if wanted.name in self._queues:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Queue already exists: {wanted.name}")
        if self._taken_queues.get(wanted.name, now) > now:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"A queue of this name existed too recently: {wanted.name}")
        message = queue_message(wanted, self._switches)
        limits = limits_of(message)
        record = QueueRecord(message, Bucket(limits, float(limits.burst), now))
        self._queues[message.name] = record
        return record

    def change_queue(self, wanted: tasks_v2.Queue) -> QueueRecord:
        """Give an existing queue other settings; its state stays."""
        record = self.queue(wanted.name)
        state, purge_time = record.message.state, record.message.purge_time
        record.message = queue_message(wanted, self._switches)
        record.message.state, record.message.purge_time = state, purge_time
        record.bucket.limits = limits_of(record.message)
        self._changed.set()
        return record

    def configure(self, record: QueueRecord, *, retry: Retry | None, limits: Limits | None) -> None:
        """Set a queue's rules directly, fractions of seconds included."""
        if limits is not None:
            record.message.rate_limits.max_dispatches_per_second = limits.dispatches_per_s
            record.message.rate_limits.max_concurrent_dispatches = limits.concurrent
            record.message.rate_limits.max_burst_size = limits.burst
            record.bucket = Bucket(limits, float(limits.burst), self._clock.now())
        if retry is not None:
            record.message.retry_config = retry_message(retry)
        self._changed.set()

    def delete_queue(self, name: str) -> None:
        record = self.queue(name)
        self._purge(record, "deleted")
        del self._queues[name]
        self._taken_queues[name] = self._clock.now() + self._switches.queue_tombstone_s

    def purge_queue(self, name: str) -> QueueRecord:
        record = self.queue(name)
        self._purge(record, "purged")
        return record

    def set_paused(self, name: str, paused: bool) -> QueueRecord:
        record = self.queue(name)
        record.message.state = tasks_v2.Queue.State.PAUSED if paused else tasks_v2.Queue.State.RUNNING
        self._changed.set()
        return record

    # Tasks

    def create_task(self, queue_name: str, task: tasks_v2.Task, due_at: float) -> TaskRecord:
        """Take a task that `messages.task_message` has found valid. `due_at` is seconds since the epoch."""
        queue = self.queue(queue_name)
        now = self._clock.now()
        if not task.name:
            task.name = f"{queue_name}/tasks/{self._rng.getrandbits(64):020d}"
        if task.name in queue.tasks or self._taken_names.get(task.name, now) > now:
            raise Refused(
                grpc.StatusCode.ALREADY_EXISTS,
                f"The task cannot be created because a task with this name existed too recently: {task.name}",
            )
        self._taken_names.pop(task.name, None)
        record = TaskRecord(task, next(self._sequence), now, max(now, due_at))
        queue.tasks[record.name] = record
        self._line_up(queue, record)
        return record

    def task(self, name: str) -> TaskRecord:
        queue_name = name.rpartition("/tasks/")[0]
        found = self.queue(queue_name).tasks.get(name)
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"The task no longer exists, or never did: {name}")
        return found

    def delete_task(self, name: str) -> None:
        record = self.task(name)
        self._finish(self.queue(name.rpartition("/tasks/")[0]), record, "deleted")

    def run_task(self, name: str) -> TaskRecord:
        """Send a task now, whatever its schedule, the queue's limits or a pause say."""
        record = self.task(name)
        self._start(self.queue(name.rpartition("/tasks/")[0]), record)
        return record

    def tasks(self) -> list[TaskRecord]:
        """Finished tasks that are still remembered, then live ones, each in the order of creation."""
        live = [record for queue in self._queues.values() for record in queue.tasks.values()]
        return [*sorted(self._finished, key=_sequence), *sorted(live, key=_sequence)]

    # The engine

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            looks = [look_at for queue in self._queues.values() if (look_at := self._serve(queue)) is not None]
            await self._wait(min(looks, default=None))

    async def _wait(self, until: float | None) -> None:
        waits: list[asyncio.Task[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if until is not None:
            waits.append(asyncio.ensure_future(self._clock.sleep_until(until)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _serve(self, queue: QueueRecord) -> float | None:
        """Send out what is due and allowed. Returns when to look again, None for "when something changes"."""
        now = self._clock.now()
        limits = queue.bucket.limits
        if queue.paused:
            return None
        while (head := self._next_due(queue)) is not None:
            if head.due_at > now:
                return head.due_at
            if queue.running >= limits.concurrent:
                return None
            ready_at = queue.bucket.ready_at(now)
            if ready_at > now:
                return ready_at
            record = self._pick(queue, now)
            delayed = self.faults.take("delay", record.name, record.task.http_request.url)
            if delayed is not None:
                record.due_at = now + delayed.seconds
                self._line_up(queue, record)
                continue
            queue.bucket.take(now)
            if self.faults.take("lose", record.name, record.task.http_request.url) is not None:
                self._finish(queue, record, "lost")
                continue
            self._start(queue, record)
        return None

    def _next_due(self, queue: QueueRecord) -> TaskRecord | None:
        """The task at the head of the line, once entries that no longer count have been thrown away."""
        while queue.line:
            _, _, ticket, record = queue.line[0]
            if record.ticket == ticket:
                return record
            heapq.heappop(queue.line)
        return None

    def _pick(self, queue: QueueRecord, now: float) -> TaskRecord:
        """The task to go next: the earliest, or any that is due if so scripted."""
        if self.faults.scripted("reorder"):
            due = sorted(entry for entry in queue.line if entry[0] <= now and entry[2] == entry[3].ticket)
            if len(due) > 1 and self.faults.take("reorder", *(entry[3].name for entry in due)) is not None:
                return self._rng.choice(due)[3]
        return queue.line[0][3]

    def _any_ready(self) -> bool:
        now = self._clock.now()
        for queue in self._queues.values():
            head = None if queue.paused else self._next_due(queue)
            if (
                head is not None
                and head.due_at <= now
                and queue.bucket.ready_at(now) <= now
                and queue.running < queue.bucket.limits.concurrent
            ):
                return True
        return False

    def _line_up(self, queue: QueueRecord, record: TaskRecord) -> None:
        record.ticket = next(self._sequence)
        heapq.heappush(queue.line, (record.due_at, record.sequence, record.ticket, record))
        self._changed.set()

    def _start(self, queue: QueueRecord, record: TaskRecord) -> None:
        earlier = [one for one in record.attempts if not one.duplicate]
        attempt = Attempt(number=len(earlier) + 1, scheduled_at=record.due_at, dispatched_at=self._clock.now())
        deadline = record.task.dispatch_deadline
        deadline_s = deadline.total_seconds() if deadline else DEFAULT_DEADLINE_S
        dispatch = Dispatch(record.task, attempt.scheduled_at, attempt.dispatched_at, earlier, deadline_s)
        record.ticket = None
        record.attempts.append(attempt)
        record.running += 1
        queue.running += 1
        self._spawn(self._attempt(queue, record, attempt, dispatch))
        if self.faults.take("duplicate", record.name, record.task.http_request.url) is not None:
            twin = Attempt(attempt.number, attempt.scheduled_at, attempt.dispatched_at, duplicate=True)
            record.attempts.append(twin)
            self._spawn(self._deliver(dispatch, twin))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _deliver(self, dispatch: Dispatch, attempt: Attempt) -> Outcome:
        outcome = await self._sender.send(dispatch)
        attempt.responded_at = self._clock.now()
        attempt.status, attempt.failure = outcome.status, outcome.failure
        return outcome

    async def _attempt(self, queue: QueueRecord, record: TaskRecord, attempt: Attempt, dispatch: Dispatch) -> None:
        try:
            outcome = await self._deliver(dispatch, attempt)
        finally:
            record.running -= 1
            queue.running -= 1
            self._changed.set()
        if self.faults.take("drop_response", record.name, record.task.http_request.url) is not None:
            outcome = Outcome(None, "the answer was lost (fault)")
            attempt.status, attempt.failure = outcome.status, outcome.failure
        if record.state != "waiting":  # deleted, purged, or done by another attempt meanwhile
            return
        if succeeded(outcome.status):
            queue.bucket.speed_up(self._clock.now())
            self._finish(queue, record, "done")
        else:
            self._failed(queue, record, outcome)

    def _failed(self, queue: QueueRecord, record: TaskRecord, outcome: Outcome) -> None:
        now = self._clock.now()
        record.failures += 1
        if self._switches.system_throttling and outcome.status in THROTTLING_STATUSES:
            queue.bucket.slow_down(now)
        retry = retry_of(queue.message)
        if retry.exhausted(record.failures, now - record.attempts[0].dispatched_at, self._switches):
            self._finish(queue, record, "exhausted")
        elif now - record.created_at >= RETENTION_S:
            self._finish(queue, record, "expired")
        else:
            wait_s = retry.backoff_s(record.failures)
            if self._switches.heed_retry_after and outcome.retry_after_s is not None:
                wait_s = max(wait_s, outcome.retry_after_s)
            record.due_at = now + wait_s
            self._line_up(queue, record)

    def _finish(self, queue: QueueRecord, record: TaskRecord, state: TaskState) -> None:
        record.state = state
        record.ticket = None
        queue.tasks.pop(record.name, None)
        now = self._clock.now()
        self._taken_names[record.name] = now + self._switches.dedup_s
        self._finished.append(record)
        if len(self._taken_names) > self._clean_names_at:
            self._taken_names = {name: until for name, until in self._taken_names.items() if until > now}
            self._clean_names_at = max(_CLEAN_NAMES, 2 * len(self._taken_names))

    def _purge(self, queue: QueueRecord, state: TaskState) -> None:
        for record in list(queue.tasks.values()):
            self._finish(queue, record, state)
        queue.message.purge_time = moment(self._clock.now())
        self._changed.set()


def _sequence(record: TaskRecord) -> int:
    return record.sequence
