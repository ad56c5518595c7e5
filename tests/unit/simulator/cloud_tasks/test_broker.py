"""What holds for every story of tasks, answers, limits and clock steps."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from google.cloud import tasks_v2
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.broker import Broker
from rtms_simulator.cloud_tasks.dispatch import Dispatch, Outcome
from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches, Limits, Retry
from rtms_simulator.faults import FaultBook

EPOCH = 1_700_000_000.0
QUEUE = "projects/p/locations/l/queues/q"


@dataclass
class Scripted:
    """A sender: each task has its list of statuses, then 200. Takes a few turns of the loop, so that several are under way at once."""

    answers: dict[str, list[int | None]]
    turns: int
    running: int = 0
    most_running: int = 0
    moments: list[float] = field(default_factory=list)

    async def send(self, dispatch: Dispatch) -> Outcome:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.moments.append(dispatch.dispatched_at)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.running -= 1
        left = self.answers[dispatch.task.name]
        return Outcome(left.pop(0) if left else 200)


STATUSES = st.lists(st.sampled_from([200, 204, 302, 404, 429, 500, 503, None]), max_size=4)
TASKS = st.lists(st.tuples(st.floats(-10, 100), STATUSES), min_size=1, max_size=12)
RETRIES = st.builds(Retry, max_attempts=st.integers(1, 5), min_backoff_s=st.floats(0.1, 20), max_backoff_s=st.just(60.0))
LIMITS = st.builds(Limits, dispatches_per_s=st.floats(0.5, 20), concurrent=st.integers(1, 4))
STEPS = st.lists(st.floats(0, 30), max_size=12)
FAULTS_IN_FORCE = st.lists(
    st.builds(
        "tasks.dispatch.*: {} x{}".format, st.sampled_from(["late 3s", "late 0.5s", "reorder 4s", "lost", "cut", "503"]), st.integers(1, 3)
    ),
    max_size=3,
)


def broker_with(clock: Clock, sender: Scripted, limits: Limits, retry: Retry) -> Broker:
    broker = Broker(clock, sender, randomness=random.Random(0), switches=CloudTasksSwitches, faults=FaultBook(), history=1000)
    broker.configure(broker.create_queue(tasks_v2.Queue(name=QUEUE)), retry=retry, limits=limits)
    return broker


async def play(
    tasks: list[tuple[float, list[int | None]]], limits: Limits, retry: Retry, steps: list[float], faults: list[str], turns: int
) -> tuple[Broker, Scripted]:
    clock = Clock(epoch=EPOCH, rate=0)
    sender = Scripted({f"{QUEUE}/tasks/{number}": list(statuses) for number, (_, statuses) in enumerate(tasks)}, turns)
    broker = broker_with(clock, sender, limits, retry)
    broker.start()
    for fault in faults:
        broker.faults.add(fault)
    for number, (offset, _) in enumerate(tasks):
        broker.create_task(QUEUE, tasks_v2.Task(name=f"{QUEUE}/tasks/{number}"), EPOCH + offset)
    for step in [*steps, *[60.0] * 30]:
        clock.advance(step)
        await broker.settled()
    await broker.aclose()
    return broker, sender


@settings(max_examples=60)
@given(TASKS, LIMITS, RETRIES, STEPS, FAULTS_IN_FORCE, st.integers(0, 5))
def test_every_task_ends_within_its_rules(
    tasks: list[tuple[float, list[int | None]]], limits: Limits, retry: Retry, steps: list[float], faults: list[str], turns: int
) -> None:
    broker, sender = asyncio.run(play(tasks, limits, retry, steps, faults, turns))
    ended = {record.name: record for record in broker.tasks()}
    assert len(ended) == len(tasks)
    for number, (offset, _) in enumerate(tasks):
        record = ended[f"{QUEUE}/tasks/{number}"]
        assert record.state in {"done", "exhausted", "lost"}
        statuses = [attempt.status for attempt in record.attempts]
        good = [status is not None and 200 <= status <= 299 for status in statuses]
        assert len(statuses) <= retry.max_attempts
        assert good == [False] * (len(good) - 1) + [record.state == "done"] if statuses else record.state == "lost"
        if record.state == "exhausted":
            assert len(statuses) == retry.max_attempts
        earliest = EPOCH + max(0.0, offset)
        for failures, attempt in enumerate(record.attempts, start=1):
            assert attempt.dispatched_at >= attempt.scheduled_at >= earliest - 1e-5  # Google's durations end at the microsecond
            earliest = attempt.dispatched_at + retry.backoff_s(failures)
    assert sender.most_running <= limits.concurrent
    for start, moment in enumerate(sender.moments):
        for end, later in enumerate(sender.moments[start:], start=1):
            assert end <= limits.burst + limits.dispatches_per_s * (later - moment) + 1e-6


@settings(max_examples=40)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=15), st.lists(st.floats(0, 9), max_size=10))
def test_what_is_due_goes_out_in_the_order_of_its_time(offsets: list[int], steps: list[float]) -> None:
    tasks: list[tuple[float, list[int | None]]] = [(float(offset), []) for offset in offsets]
    broker, _ = asyncio.run(play(tasks, Limits(concurrent=1), Retry(), steps, [], 1))
    sent = sorted(broker.tasks(), key=lambda record: (record.attempts[0].dispatched_at, record.due_at, record.sequence))
    assert [record.due_at for record in sent] == sorted(EPOCH + offset for offset in offsets)


async def test_five_thousand_due_tasks_go_out_without_growing_slower() -> None:
    clock = Clock(epoch=EPOCH, rate=0)
    sender = Scripted({f"{QUEUE}/tasks/{number}": [] for number in range(5_000)}, 0)
    broker = broker_with(clock, sender, Limits(dispatches_per_s=500, concurrent=5000), Retry())
    broker.start()
    for number in range(5_000):
        broker.create_task(QUEUE, tasks_v2.Task(name=f"{QUEUE}/tasks/{number}"), EPOCH)
    for _ in range(10):
        await broker.settled()
        clock.advance(1)
    await broker.settled()
    assert len(sender.moments) == 5_000
    assert len(broker.tasks()) == 1000  # and only so many are remembered
    await broker.aclose()
