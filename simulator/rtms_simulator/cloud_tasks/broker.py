"""Queues and tasks, and when each task goes out: the fake without its gRPC face.

Everything happens on the Clock that is passed in. Operations raise `TaskRefusedError` with the gRPC status that Google documents.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import grpc
from google.cloud import tasks_v2

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.dispatch import Attempt, Dispatch, Outcome, Sender, succeeded
from rtms_simulator.cloud_tasks.messages import limits_of, moment, queue_message, retry_message, retry_of
from rtms_simulator.cloud_tasks.rules import DEFAULT_DEADLINE_S, RETENTION_S, THROTTLING_STATUSES, Bucket, CloudTasksSwitches, Limits, Retry
from rtms_simulator.errors import TaskRefusedError
from rtms_simulator.faults import NO_FAULT, STATUS, ArmedFault, FaultBook, Step
from rtms_simulator.faults.cloud_tasks import CREATE, DISPATCH, QUEUE
from rtms_simulator.serving.background import BackgroundTasks, first_of

TaskState = Literal["waiting", "done", "exhausted", "expired", "deleted", "purged", "lost"]
"""`waiting` is the only state of a live task; it may be `running` at the same time. The others are ends."""

_CLEAN_NAMES = 4096
"""How many taken names are held before those that have become free are looked for."""


@dataclass(slots=True)
class TaskRecord:
    """One task and all that happened to it. `task` is the message as created, with its name filled in.

    `due_at` is its schedule_time: when it is to be attempted or retried. `held_until`: until when a fault holds it back, which the task
    does not show. `ticket` is its valid place in the queue's line, None while it has none: it is under way, or has ended.
    """

    task: tasks_v2.Task
    sequence: int
    created_at: float
    due_at: float
    held_until: float = 0.0
    state: TaskState = "waiting"
    ticket: int | None = None
    running: int = 0
    failures: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    delayed: bool = False
    """A fault has put it off already: the next dispatch takes no other."""

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def goes_at(self) -> float:
        """When its turn comes, as far as limits allow."""
        return max(self.due_at, self.held_until)

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
    held: list[TaskRecord] = field(default_factory=list)
    """Tasks that wait until another one has gone (the fault `reorder`)."""
    first_call_at: float | None = None
    """When a creation woke it (the fault `sleep`)."""

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def fault_names(self) -> tuple[str, str]:
        """How a fault may call it: `handoffs`, `handoffs@europe-west4`."""
        return fault_names(self.name)

    @property
    def paused(self) -> bool:
        return self.message.state == tasks_v2.Queue.State.PAUSED


class Broker:
    """Takes tasks and sends them out. `history` bounds how many finished tasks are remembered for `tasks()`."""

    def __init__(
        self,
        clock: Clock,
        sender: Sender,
        *,
        randomness: random.Random,
        switches: Callable[[], CloudTasksSwitches],
        faults: FaultBook,
        history: int,
        on_attempt: Callable[[str, Attempt], None] = lambda _task, _attempt: None,
    ) -> None:
        """`on_attempt(full name of the task, attempt)` is called after each attempt."""
        self._clock = clock
        self._on_attempt = on_attempt
        self._sender = sender
        self._randomness = randomness
        self._switches = switches
        self.faults = faults
        for family in (CREATE, DISPATCH, QUEUE):
            faults.known(family.prefix, lambda: {name for queue in self._queues for name in fault_names(queue)})
        faults.on_change(lambda: self._changed.set())
        self._queues: dict[str, QueueRecord] = {}
        self._finished: deque[TaskRecord] = deque(maxlen=history)
        self._taken_names: dict[str, float] = {}
        self._clean_names_at = _CLEAN_NAMES
        self._taken_queues: dict[str, float] = {}
        self._sequence = itertools.count(1)
        self._changed = asyncio.Event()
        self._attempts = BackgroundTasks()
        self._later = BackgroundTasks()
        """Copies that a fault sends later."""
        self._pump: asyncio.Task[None] | None = None

    # Life

    def start(self) -> None:
        self._pump = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        await self._later.aclose()
        await self._attempts.aclose()

    async def settled(self) -> None:
        """Return when no attempt is under way and none is due, at the clock's present time."""
        for _ in range(_TURNS if self._later else 0):
            await self._clock.sleep(0)
        while self._attempts or self._any_ready():
            if self._pump is None or self._pump.done():
                return
            await self._attempts.idle()
            await self._clock.sleep(0)

    def reset(self) -> None:
        """Forget every queue, task, name and fault; what is under way is cut off."""
        self._later.cancel()
        self._attempts.cancel()
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
        record = self._queues.get(name)
        if record is None:
            raise TaskRefusedError(grpc.StatusCode.NOT_FOUND, f"Queue does not exist: {name}")
        return record

    def create_queue(self, queue: tasks_v2.Queue) -> QueueRecord:
        now = self._clock.now()
        if queue.name in self._queues:
            raise TaskRefusedError(grpc.StatusCode.ALREADY_EXISTS, f"Queue already exists: {queue.name}")
        if self._taken_queues.get(queue.name, now) > now:
            raise TaskRefusedError(grpc.StatusCode.FAILED_PRECONDITION, f"A queue of this name existed too recently: {queue.name}")
        message = queue_message(queue, self._switches())
        limits = limits_of(message)
        record = QueueRecord(message, Bucket(limits, float(limits.burst), now))
        self._queues[message.name] = record
        return record

    def change_queue(self, queue: tasks_v2.Queue) -> QueueRecord:
        """Give an existing queue other settings; its state stays."""
        record = self.queue(queue.name)
        state, purge_time = record.message.state, record.message.purge_time
        record.message = queue_message(queue, self._switches())
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
        self._taken_queues[name] = self._clock.now() + self._switches().queue_tombstone_s

    def purge_queue(self, name: str) -> QueueRecord:
        record = self.queue(name)
        self._purge(record, "purged")
        return record

    def set_paused(self, name: str, *, paused: bool) -> QueueRecord:
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
            task.name = f"{queue_name}/tasks/{self._randomness.getrandbits(64):020d}"
        if task.name in queue.tasks or self._taken_names.get(task.name, now) > now:
            raise TaskRefusedError(
                grpc.StatusCode.ALREADY_EXISTS,
                f"The task cannot be created because a task with this name existed too recently: {task.name}",
            )
        self._taken_names.pop(task.name, None)
        record = TaskRecord(task, next(self._sequence), now, max(now, due_at))
        queue.tasks[record.name] = record
        self._line_up(queue, record)
        return record

    def creation_fault(self, queue_name: str) -> Step:
        """The fault of one creation. Raises TaskRefusedError where that is the fault, and while the queue sleeps."""
        queue, now = self.queue(queue_name), self._clock.now()
        if "sleep" in self.faults.states(QUEUE, *queue.fault_names, now=now):
            queue.first_call_at = now if queue.first_call_at is None else queue.first_call_at
            self._under_faults(queue, now)
            self._changed.set()
        if "sleep" in self.faults.states(QUEUE, *queue.fault_names, now=now):
            raise TaskRefusedError(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {queue_name} (it wakes up)")
        step = self.faults.take(CREATE, *queue.fault_names)
        if step.word == "refuse":
            raise TaskRefusedError(grpc.StatusCode[step.text("status").upper().replace("-", "_")], "refused (fault)")
        return step

    def shown(self, queue: QueueRecord) -> tasks_v2.Queue:
        """Its settings as the API shows them: a fault can pause it, too."""
        message = queue.message
        if "pause" in self.faults.states(QUEUE, *queue.fault_names, now=self._clock.now()):
            message = tasks_v2.Queue(message)
            message.state = tasks_v2.Queue.State.PAUSED
        return message

    def task(self, name: str) -> TaskRecord:
        queue_name = name.rpartition("/tasks/")[0]
        record = self.queue(queue_name).tasks.get(name)
        if record is None:
            raise TaskRefusedError(grpc.StatusCode.NOT_FOUND, f"The task no longer exists, or never did: {name}")
        return record

    def delete_task(self, name: str) -> None:
        record = self.task(name)
        self._finish(self.queue(name.rpartition("/tasks/")[0]), record, "deleted")

    def run_task(self, name: str) -> TaskRecord:
        """Send a task now, whatever its schedule, the queue's limits or a pause say."""
        record = self.task(name)
        self._start(self.queue(name.rpartition("/tasks/")[0]), record, forced=True)
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
        await first_of(self._changed.wait(), *(() if until is None else (self._clock.sleep_until(until),)))

    def _serve(self, queue: QueueRecord) -> float | None:
        """Send out what is due and allowed. Returns when to look again, None for "when something changes"."""
        now = self._clock.now()
        limits = queue.bucket.limits
        halted, look_at = self._under_faults(queue, now)
        if queue.paused or halted:
            return look_at
        while (head := self._next_due(queue)) is not None:
            if head.goes_at > now:
                return _earlier(head.goes_at, look_at)
            if (end := self._end_of(queue, head)) is not None:
                self._finish(queue, head, end)
                continue
            if queue.running >= limits.concurrent:
                return look_at
            ready_at = queue.bucket.ready_at(now)
            if ready_at > now:
                return _earlier(ready_at, look_at)
            step = NO_FAULT if head.delayed else self.faults.take(DISPATCH, *queue.fault_names)
            if step.word in ("late", "reorder"):
                self._put_off(queue, head, step)
                continue
            queue.bucket.take(now)
            if step.word == "lost":
                self._finish(queue, head, "lost")
                continue
            self._start(queue, head, step)
        return look_at

    def _under_faults(self, queue: QueueRecord, now: float) -> tuple[bool, float | None]:
        """(Whether nothing may go out, when to look again) as the states in force say; sets the rate that they leave."""
        states = self.faults.states(QUEUE, *queue.fault_names, now=now)
        if self._woken(queue, states.get("sleep"), now):
            states = self.faults.states(QUEUE, *queue.fault_names, now=now)
        scale, look_at = 1.0, None
        for word, armed in states.items():
            if word == "slow":
                scale *= armed.present.number("share")
            elif word == "ramp":
                scale *= _ramped(armed, queue.bucket.limits.dispatches_per_s, now)
                look_at = _earlier(now + _RAMP_LOOK_S, look_at)
            look_at = _earlier(armed.ends_at, look_at)
        if queue.first_call_at is not None and "sleep" in states:
            look_at = _earlier(queue.first_call_at + states["sleep"].present.number("wake"), look_at)
        queue.bucket.set_scale(scale, now)
        return not states.keys().isdisjoint(("sleep", "stall", "pause")), look_at

    def _woken(self, queue: QueueRecord, sleep: ArmedFault | None, now: float) -> bool:
        """Whether a queue that was called has woken by now, and with that the fault is over."""
        if sleep is None:
            queue.first_call_at = None
        elif queue.first_call_at is not None and now >= queue.first_call_at + sleep.present.number("wake"):
            queue.first_call_at = None
            self.faults.finish(sleep)
            return True
        return False

    def _put_off(self, queue: QueueRecord, record: TaskRecord, step: Step) -> None:
        record.delayed = True
        record.held_until = self._clock.now() + step.number("seconds")
        if step.word == "reorder":
            queue.held.append(record)
        self._line_up(queue, record)

    def _release(self, queue: QueueRecord) -> None:
        """Another task has gone: those that waited for that are due."""
        records, queue.held = queue.held, []
        for record in records:
            if record.state == "waiting" and record.ticket is not None:
                record.held_until = 0.0
                self._line_up(queue, record)

    def _next_due(self, queue: QueueRecord) -> TaskRecord | None:
        """The task at the head of the line, once entries that no longer count have been thrown away."""
        while queue.line:
            _, _, ticket, record = queue.line[0]
            if record.ticket == ticket:
                return record
            heapq.heappop(queue.line)
        return None

    def _any_ready(self) -> bool:
        now = self._clock.now()
        for queue in self._queues.values():
            halted, _ = self._under_faults(queue, now)
            head = None if queue.paused or halted else self._next_due(queue)
            if (
                head is not None
                and head.goes_at <= now
                and queue.bucket.ready_at(now) <= now
                and queue.running < queue.bucket.limits.concurrent
            ):
                return True
        return False

    def _line_up(self, queue: QueueRecord, record: TaskRecord) -> None:
        record.ticket = next(self._sequence)
        heapq.heappush(queue.line, (record.goes_at, record.sequence, record.ticket, record))
        self._changed.set()

    def _start(self, queue: QueueRecord, record: TaskRecord, step: Step = NO_FAULT, *, forced: bool = False) -> None:
        earlier = [one for one in record.attempts if not one.duplicate]
        attempt = Attempt(number=len(earlier) + 1, scheduled_at=record.due_at, dispatched_at=self._clock.now())
        deadline = record.task.dispatch_deadline
        deadline_s = deadline.total_seconds() if deadline else DEFAULT_DEADLINE_S
        dispatch = Dispatch(record.task, attempt.scheduled_at, attempt.dispatched_at, earlier, deadline_s)
        record.ticket, record.delayed, record.held_until = None, False, 0.0
        record.attempts.append(attempt)
        record.running += 1
        queue.running += 1
        self._attempts.start(self._attempt(queue, record, attempt, dispatch, step, forced=forced))
        for _ in range(int(step.number("copies")) if step.word == "duplicate" else 0):
            twin = Attempt(attempt.number, attempt.scheduled_at, attempt.dispatched_at, duplicate=True)
            record.attempts.append(twin)
            self._later.start(self._deliver_later(step.number("after"), dispatch, twin))
        self._release(queue)

    async def _deliver_later(self, seconds: float, dispatch: Dispatch, attempt: Attempt) -> None:
        await self._clock.sleep(seconds)
        attempt.dispatched_at = self._clock.now()
        await self._attempts.start(self._deliver(dispatch, attempt))

    def _answered(self, attempt: Attempt, status: int) -> Outcome:
        """What the platform in front of the worker answers; the worker hears nothing of it."""
        attempt.responded_at, attempt.status = self._clock.now(), status
        return Outcome(status)

    async def _deliver(self, dispatch: Dispatch, attempt: Attempt) -> Outcome:
        outcome = await self._sender.send(dispatch)
        attempt.responded_at = self._clock.now()
        attempt.status, attempt.failure = outcome.status, outcome.failure
        return outcome

    async def _attempt(
        self, queue: QueueRecord, record: TaskRecord, attempt: Attempt, dispatch: Dispatch, step: Step, *, forced: bool
    ) -> None:
        try:
            outcome = await self._deliver(dispatch, attempt) if step.word != STATUS else self._answered(attempt, int(step.number("status")))
        finally:
            record.running -= 1
            queue.running -= 1
            self._changed.set()
        if step.word == "cut":
            outcome = Outcome(None, "the answer was lost (fault)")
            attempt.status, attempt.failure = outcome.status, outcome.failure
        self._on_attempt(record.name, attempt)
        if record.state != "waiting":  # deleted, purged, or done by another attempt meanwhile
            return
        if succeeded(outcome.status):
            queue.bucket.speed_up(self._clock.now())
            self._finish(queue, record, "done")
        else:
            # After RunTask, "the time that RunTask was called plus the retry delay"; else the delay follows the failure.
            self._failed(queue, record, outcome, attempt.dispatched_at if forced else self._clock.now())

    def _failed(self, queue: QueueRecord, record: TaskRecord, outcome: Outcome, delayed_from: float) -> None:
        now = self._clock.now()
        record.failures += 1
        if self._switches().system_throttling and outcome.status in THROTTLING_STATUSES:
            queue.bucket.slow_down(now)
        end = self._end_of(queue, record)
        if end is not None:
            self._finish(queue, record, end)
            return
        record.due_at = delayed_from + retry_of(queue.message).backoff_s(record.failures)
        if self._switches().heed_retry_after and outcome.retry_after_s is not None:
            record.due_at = max(record.due_at, now + outcome.retry_after_s)
        self._line_up(queue, record)

    def _end_of(self, queue: QueueRecord, record: TaskRecord) -> TaskState | None:
        """The end of a task that is not attempted again: its retries are over, or it is too old. None: it is attempted.

        Judged after a failure, and again when the next attempt is due: the retry duration may have passed meanwhile.
        """
        now = self._clock.now()
        if record.failures:
            since_first_s = now - record.attempts[0].dispatched_at
            if retry_of(queue.message).exhausted(record.failures, since_first_s, self._switches()):
                return "exhausted"
        return "expired" if now - record.created_at >= RETENTION_S else None

    def _finish(self, queue: QueueRecord, record: TaskRecord, state: TaskState) -> None:
        record.state = state
        record.ticket = None
        queue.tasks.pop(record.name, None)
        now = self._clock.now()
        self._taken_names[record.name] = now + self._switches().dedup_s
        self._finished.append(record)
        if len(self._taken_names) > self._clean_names_at:
            self._taken_names = {name: until for name, until in self._taken_names.items() if until > now}
            self._clean_names_at = max(_CLEAN_NAMES, 2 * len(self._taken_names))

    def _purge(self, queue: QueueRecord, state: TaskState) -> None:
        for record in list(queue.tasks.values()):
            self._finish(queue, record, state)
        queue.message.purge_time = moment(self._clock.now())
        self._changed.set()


_TURNS = 3
"""Turns of the loop in which a copy that has become due begins."""

_RAMP_LOOK_S = 0.1
"""How often a rate that grows is looked at."""


def fault_names(queue: str) -> tuple[str, str]:
    """How a fault may call the queue of this full name: `handoffs`, `handoffs@europe-west4`."""
    parts = queue.split("/")
    return parts[-1], f"{parts[-1]}@{parts[3]}"


def _earlier(moment_: float | None, other: float | None) -> float | None:
    return min((one for one in (moment_, other) if one is not None), default=None)


def _ramped(armed: ArmedFault, full: float, now: float) -> float:
    """The share of the full rate that a ramp has reached."""
    assert armed.since is not None
    grown = (now - armed.since) / (armed.present.number("seconds") or 1.0)
    start = min(armed.present.number("start") / full, 1.0)
    return min(1.0, start + (1.0 - start) * grown)


def _sequence(record: TaskRecord) -> int:
    return record.sequence
