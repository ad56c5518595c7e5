"""Each fault of Recall's and of Cloud Tasks', with its defaults, changes something in every built-in scenario that it fits.

The rule by which they are tried: each scenario is played twice, to its end, around a service that never gives up (`small_service`).

1. With all faults at once that act on one thing each (a request, a message, a task): of several with one target each takes one of its own,
   the oldest first. Behind what lets a request through no other finds one, so `slow` is the last. With them `tasks.queue.*: slow`.
2. With the other states of a queue, each on a queue of its own.

A fault fits a scenario in which there is what it acts on. Requests to Recall and tasks are in all of them. Messages of Recall's and
downloads are not in those that nobody is to join.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.simulator.faults.small_service import SmallService, small_service

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import TaskView
from rtms_simulator.faults.cloud_tasks import QUEUE
from rtms_simulator.faults.reference import FaultRow, rows
from rtms_simulator.kit.play import ResolvedPlay, perform
from rtms_simulator.kit.stack import Plan, Stack
from rtms_simulator.scenario import Scenario, load, names

pytestmark = pytest.mark.once

SCENARIOS = [load(name).each()[0] for name in names()]
BEHIND_ZOOM = [row for row in rows() if row.vendor != "zoom"]
STATES = {"stall": "facts", "pause": "retrievals", "sleep": "handoffs@second", "ramp": "handoffs@local"}
"""The states of a queue that are tried together: the word, and the queue that has it."""
RATE = 40
"""Of the fakes' clock. Zoom waits longer than its minute for who joins: what the faults hold up would be too late else."""


def needs_a_recording(row: FaultRow) -> bool:
    return row.target.startswith(("recall.webhook", "recall.download"))


def is_state(row: FaultRow) -> bool:
    return row.target == QUEUE.form and row.step in STATES


def of_one_thing(scenario: Scenario) -> list[str]:
    """The faults of the first play."""
    fitting = [row for row in BEHIND_ZOOM if not is_state(row) and not (needs_a_recording(row) and scenario.outcome == "not-joined")]
    return [row.example for row in sorted(fitting, key=lambda row: row.step == "slow")]


def of_queues() -> list[str]:
    """The faults of the second play."""
    return [row.example.replace("*", STATES[row.step]) for row in BEHIND_ZOOM if is_state(row)]


class Played:
    """A play that is over: what the service asked, what the fakes have of it, and the least scale of each queue's rate meanwhile."""

    def __init__(self, stack: Stack, service: SmallService) -> None:
        self.stack, self.service = stack, service
        self.scales: dict[str, float] = defaultdict(lambda: 1.0)

    async def watch(self) -> None:
        while True:
            for queue in self.stack.tasks._running().queues():
                self.scales[queue.name] = min(self.scales[queue.name], queue.bucket.scale)
            await asyncio.sleep(0.01)

    def tried(self, what: str, outcome: str) -> bool:
        return any((one.what, one.outcome) == (what, outcome) for one in self.service.tried)

    def of(self, queue: str) -> list[TaskView]:
        """The tasks on the queue of that name (`handoffs@second`)."""
        name, _, location = queue.partition("@")
        return [task for task in self.stack.tasks.tasks() if f"/queues/{name}/" in task.name and f"/{location or 'local'}/" in task.name]


@asynccontextmanager
async def played(scenario: Scenario, folder: Path, faults: list[str]) -> AsyncGenerator[Played]:
    window_s = 60.0 if scenario.outcome == "not-joined" else 600.0
    switches = {"zoom.connect_window_s": window_s, "recall.defaults": "only_asked"}
    stack = Stack(Plan(folder, function=False, faults=tuple(faults), switches=switches))
    try:
        await stack.start()
        stack.clock.set_rate(RATE)
        async with small_service(stack) as service:
            one = Played(stack, service)
            watching = asyncio.ensure_future(one.watch())
            play = ResolvedPlay(scenario, speed="max", patience_s=10.0)
            await perform(stack.zoom, play, service.url, real_time=Clock(), life=stack.fakes.life)
            await stack.recall.drained()
            await service.idle()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            yield one
    finally:
        await stack.aclose()


def waited(task: TaskView) -> float:
    """How long after its time a task was sent first."""
    return task.attempts[0].dispatched_at - task.created_at if task.attempts else 0.0


def statuses(task: TaskView) -> list[int | None]:
    return [attempt.status for attempt in task.attempts]


def messages(one: Played, state: str) -> int:
    return sum(message.state == state for message in one.stack.recall.webhooks.messages)


def message_waits(one: Played) -> list[float]:
    return [message.attempts[0].at - message.created_at for message in one.stack.recall.webhooks.messages if message.attempts]


def overtaken(one: Played) -> bool:
    """Whether a message of Recall's was sent after one that was made later."""
    sent = [message.attempts[0].at for message in one.stack.recall.webhooks.messages if message.attempts]
    return sent != sorted(sent)


EFFECTS: dict[str, Callable[[Played], bool]] = {
    "recall.*: 503": lambda one: one.tried("create", "503"),
    "recall.*: slow": lambda one: any(tried.took_s >= 5 and tried.outcome == "201" for tried in one.service.tried),
    "recall.*: hang": lambda one: one.tried("create", "ReadTimeout"),
    "recall.*: reset": lambda one: any(tried.outcome == "ReadError" and tried.mdcs == 0 for tried in one.service.tried),
    "recall.*: cut": lambda one: any(tried.outcome == "RemoteProtocolError" and tried.mdcs == 1 for tried in one.service.tried),
    "recall.download: expired": lambda one: one.tried("download", "403"),
    "recall.download: truncate": lambda one: one.tried("download", "RemoteProtocolError"),
    "recall.webhook.*: late": lambda one: max(message_waits(one)) >= 5,
    "recall.webhook.*: duplicate": lambda one: len(one.service.came) > len(set(one.service.came)),
    "recall.webhook.*: reorder": overtaken,
    "recall.webhook.*: lost": lambda one: messages(one, "lost") == 1,
    "tasks.create.*: refuse": lambda one: one.tried("task", "ServiceUnavailable"),
    "tasks.create.*: slow": lambda one: any(tried.took_s >= 5 and tried.outcome == "made" for tried in one.service.tried),
    "tasks.create.*: hang": lambda one: one.tried("task", "DeadlineExceeded"),
    "tasks.create.*: cut": lambda one: len(one.stack.tasks.tasks()) > sum(tried.outcome == "made" for tried in one.service.tried),
    "tasks.dispatch.*: late": lambda one: max(map(waited, one.stack.tasks.tasks())) >= 5,
    "tasks.dispatch.*: duplicate": lambda one: any(attempt.duplicate for task in one.stack.tasks.tasks() for attempt in task.attempts),
    "tasks.dispatch.*: reorder": lambda one: sorted(map(waited, one.stack.tasks.tasks()))[-2] > 0,
    "tasks.dispatch.*: lost": lambda one: any(task.state == "lost" and not task.attempts for task in one.stack.tasks.tasks()),
    "tasks.dispatch.*: cut": lambda one: any(None in statuses(task) and 200 in statuses(task) for task in one.stack.tasks.tasks()),
    "tasks.dispatch.*: 503": lambda one: any(503 in statuses(task)[:-1] for task in one.stack.tasks.tasks()),
    "tasks.queue.*: slow": lambda one: set(one.scales.values()) == {0.1},
    "tasks.queue.facts: stall": lambda one: bool(one.of("facts")) and not any(task.attempts for task in one.of("facts")),
    "tasks.queue.retrievals: pause": lambda one: bool(one.of("retrievals")) and not any(task.attempts for task in one.of("retrievals")),
    "tasks.queue.handoffs@second: sleep": lambda one: one.tried("task", "NotFound"),
    "tasks.queue.handoffs@local: ramp": lambda one: min(one.scales.values()) < 1 and bool(one.of("handoffs@local")[0].attempts),
}
"""How each shows."""


def test_every_fault_of_both_vendors_is_tried_on_every_scenario_that_it_fits() -> None:
    assert {scenario.name.partition("/")[0] for scenario in SCENARIOS} == set(names())
    for scenario in SCENARIOS:
        left_out = {row.example for row in BEHIND_ZOOM if needs_a_recording(row)} if scenario.outcome == "not-joined" else set()
        tried = {*of_one_thing(scenario), *(row.example for row in BEHIND_ZOOM if is_state(row))}
        assert tried | left_out == {row.example for row in BEHIND_ZOOM}
        assert {*of_one_thing(scenario), *of_queues()} | left_out == EFFECTS.keys()


async def missed(scenario: Scenario, folder: Path, faults: list[str]) -> set[str]:
    """The faults that never acted, or that did not show."""
    async with played(scenario, folder, faults) as one:
        never = {str(armed.fault) for armed in one.stack.faults.listed() if not armed.used}
        return never | {fault for fault in faults if not EFFECTS[fault](one)}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_each_fault_changes_something(scenario: Scenario, tmp_path: Path) -> None:
    plays = (missed(scenario, tmp_path / "things", of_one_thing(scenario)), missed(scenario, tmp_path / "queues", of_queues()))
    assert await asyncio.gather(*plays) == [set(), set()]
