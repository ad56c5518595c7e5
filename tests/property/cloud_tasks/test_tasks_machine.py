"""A Cloud Tasks queue against a model of Google's reference, over histories of creates, answers, pauses, forced runs, faults and time.

Sources: google-cloud-tasks' reference (Task.schedule_time, RetryConfig, RunTask) and the guide "Create HTTP target tasks" (headers). The
model knows what the worker saw and what was done, and of the fake only whether a fault holds a task back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from google.cloud import tasks_v2
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.broker import Broker, TaskRecord
from rtms_simulator.cloud_tasks.dispatch import Dispatch, Outcome
from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches, Limits, Retry
from rtms_simulator.cloud_tasks.server import task_view
from rtms_simulator.faults import FaultBook
from rtms_simulator.faults.cloud_tasks import FAMILIES

EPOCH = 1_700_000_000.0
DAY = 86_400.0
QUEUE = "projects/p/locations/l/queues/q"
WAITS = [10, 20, 40, 80, 160, 240, 300]
"""RetryConfig.max_doublings' own example: min_backoff 10 s, max_backoff 300 s, three doublings; then 300 s each time."""
RULES = [(3, 0.0), (3, 60.0), (2, 3600.0), (-1, 60.0), (-1, 0.0)]
"""max_attempts and max_retry_duration."""
ANSWERS = st.sampled_from([200, 204, 302, 404, 429, 500, 503, None])


@dataclass
class Seen:
    """One attempt as the worker saw it."""

    at: float
    forced: bool
    status: int | None = None
    ended: float | None = None


@dataclass
class Expected:
    """What the model knows of a task."""

    created: float
    schedule: float
    attempts: list[Seen] = field(default_factory=list)
    forced: int = 0
    """Forced runs that the worker has not seen yet."""
    gone: bool = False

    @property
    def failures(self) -> int:
        return sum(one.ended is not None and not good(one.status) for one in self.attempts)

    @property
    def running(self) -> bool:
        return any(one.ended is None for one in self.attempts)


def good(status: int | None) -> bool:
    return status is not None and 200 <= status <= 299


class TasksAgainstTheReference(RuleBasedStateMachine):
    @initialize(rules=st.sampled_from(RULES))
    def begin(self, rules):
        self.max_attempts, self.duration_s = rules
        self.runner = asyncio.Runner()
        self.clock = Clock(EPOCH, 0)
        self.answer: int | None = 200
        self.takes_s = 0.0
        self.paused = False
        self.tasks: dict[str, Expected] = {}
        self.wrong: list[str] = []
        self.broker = self.runner.run(self.open())

    async def open(self) -> Broker:
        switches = CloudTasksSwitches(system_throttling=False)
        broker = Broker(self.clock, self, randomness=random.Random(0), switches=lambda: switches, faults=FaultBook(FAMILIES), history=1000)
        retry = Retry(self.max_attempts, self.duration_s, min_backoff_s=10, max_backoff_s=300, max_doublings=3)
        broker.configure(broker.create_queue(tasks_v2.Queue(name=QUEUE)), retry=retry, limits=Limits())
        broker.start()
        return broker

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.broker.aclose())
            self.runner.close()

    # The worker

    async def send(self, dispatch: Dispatch) -> Outcome:
        task = self.tasks[dispatch.task.name]
        seen = Seen(self.clock.now(), forced=task.forced > 0)
        task.forced = max(0, task.forced - 1)
        self.check(task, seen, dispatch.headers())
        task.attempts.append(seen)
        answer = self.answer
        if self.takes_s:
            await self.clock.sleep(self.takes_s)
        seen.ended, seen.status = self.clock.now(), answer
        if good(answer):
            task.gone = True
        elif not task.gone:
            wait = WAITS[min(task.failures, len(WAITS)) - 1]
            task.schedule = (seen.at if seen.forced else seen.ended) + wait
        return Outcome(answer)

    def check(self, task: Expected, seen: Seen, headers: dict[str, str]) -> None:
        """What must hold as an attempt begins. Collected, because an error in here would be an answer of the worker's."""
        answered = [one.status for one in task.attempts if one.status is not None]
        expected = {
            "X-CloudTasks-TaskETA": f"{task.schedule:.6f}",
            "X-CloudTasks-TaskRetryCount": str(len(task.attempts)),
            "X-CloudTasks-TaskExecutionCount": str(sum(status < 500 for status in answered)),
        }
        for name, value in expected.items():
            if headers[name] != value:
                self.wrong.append(f"{name}: {headers[name]} instead of {value}")
        if seen.forced:
            return
        if task.gone:
            self.wrong.append("a task that is gone was attempted")
        if self.paused:
            self.wrong.append("a paused queue sent a task")
        if seen.at < task.schedule - 1e-6:
            self.wrong.append("a task went out before its time")
        if self.over(task):
            self.wrong.append("a task was attempted although its retries were over")

    def over(self, task: Expected) -> bool:
        """Whether "no further attempts are made": attempted max_attempts times, and max_retry_duration has passed; or 31 days old."""
        now = self.clock.now()
        if now - task.created >= 31 * DAY:
            return True
        if not task.failures or (self.max_attempts, self.duration_s) == (-1, 0):
            return False
        attempts_over = self.max_attempts == -1 or task.failures >= self.max_attempts
        return attempts_over and now - task.attempts[0].at >= self.duration_s

    # What is done

    @rule(delay=st.sampled_from([0.0, 5.25, 100.0, DAY, 29 * DAY]))
    def a_task_is_created(self, delay):
        name = f"{QUEUE}/tasks/{len(self.tasks)}"
        self.tasks[name] = Expected(self.clock.now(), self.clock.now() + delay)
        self.do(lambda: self.broker.create_task(QUEUE, tasks_v2.Task(name=name), self.clock.now() + delay))

    @rule(answer=ANSWERS, takes=st.sampled_from([0.0, 7.5]))
    def the_worker_changes(self, answer, takes):
        self.answer, self.takes_s = answer, takes

    @rule(paused=st.booleans())
    def the_queue_is_paused_or_resumed(self, paused):
        self.paused = paused
        self.do(lambda: self.broker.set_paused(QUEUE, paused=paused))

    @rule(seconds=st.sampled_from([1.0, 9.0, 10.0, 45.0, 61.0, 3600.0, 31 * DAY]))
    def time_passes(self, seconds):
        self.runner.run(self.pass_time(seconds))

    @rule(answer=ANSWERS)
    def a_queue_stands_still_for_a_month(self, answer):
        self.a_task_is_created(0.0)
        self.the_queue_is_paused_or_resumed(True)
        self.a_task_is_created(60.0)
        self.time_passes(31 * DAY)
        self.answer = answer
        self.the_queue_is_paused_or_resumed(False)

    @rule(answer=st.sampled_from([404, 500]), seconds=st.sampled_from([50.0, 200.0]))
    def a_task_fails_long_after_its_creation(self, answer, seconds):
        self.the_queue_is_paused_or_resumed(False)
        self.answer = answer
        self.a_task_is_created(100.0)
        self.time_passes(100.0 + seconds)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def a_task_is_forced_to_run(self, data):
        name = data.draw(st.sampled_from(sorted(self.live())))
        self.tasks[name].forced += 1
        self.do(lambda: self.broker.run_task(name))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), answer=st.sampled_from([404, 500, None]))
    def a_forced_run_fails_slowly(self, data, answer):
        self.answer, self.takes_s = answer, 7.5
        self.a_task_is_forced_to_run(data)
        self.time_passes(8.0)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def a_task_is_deleted(self, data):
        name = data.draw(st.sampled_from(sorted(self.live())))
        self.tasks[name].gone = True
        self.do(lambda: self.broker.delete_task(name))

    @rule(word=st.sampled_from(["late 30s", "reorder 30s"]))
    def a_fault_holds_the_next_task_back(self, word):
        self.broker.faults.add(f"tasks.dispatch.*: {word}")

    # What must hold

    @invariant()
    def the_worker_saw_nothing_wrong(self):
        assert not getattr(self, "wrong", [])

    def check_ends(self) -> None:
        """A task that is there no longer was done, deleted or over. Called at each moment at which the clock stands."""
        for name in self.tasks.keys() - self.live().keys():
            task = self.tasks[name]
            if not task.gone and self.over(task):
                task.gone = True
            if not task.gone:
                self.wrong.append("a task ended although it was to be attempted again")

    @invariant()
    def schedule_times_are_shown_as_the_reference_says(self):
        for name, record in self.live().items():
            shown = task_view(record, tasks_v2.Task.View.BASIC).schedule_time
            assert abs(shown.timestamp() - self.tasks[name].schedule) < 1e-5
            assert not self.tasks[name].gone

    @invariant()
    def what_is_due_went_out(self):
        for name, record in self.live().items():
            task = self.tasks[name]
            waits = self.paused or task.running or record.held_until > self.clock.now()
            assert waits or task.schedule > self.clock.now()

    def live(self) -> dict[str, TaskRecord]:
        broker = getattr(self, "broker", None)
        return {} if broker is None else {record.name: record for record in broker.tasks() if record.state == "waiting"}

    def do(self, call: Callable[[], object]) -> None:
        """Call the broker in its loop, and let happen what follows at once."""

        async def called() -> None:
            call()
            await self.settle()

        self.runner.run(called())

    async def settle(self) -> None:
        quiet, before = 0, None
        while quiet < 12:
            await asyncio.sleep(0)
            state = sum(len(task.attempts) for task in self.tasks.values()), self.clock.next_deadline
            quiet, before = (quiet + 1 if state == before else 0), state
        self.check_ends()

    async def pass_time(self, seconds: float) -> None:
        until = self.clock.now() + seconds
        await self.settle()
        steps = 0
        # Stops at each moment that somebody waits for; then one step, as of a machine that slept.
        while (moment := self.clock.next_deadline) is not None and moment <= until and steps < 30:
            self.clock.advance(max(0.0, moment - self.clock.now()))
            await self.settle()
            steps += 1
        self.clock.advance(max(0.0, until - self.clock.now()))
        await self.settle()


# Not shrunk: that takes longer than the test's limit, and a story of 20 steps can be read.
STORIES = settings(max_examples=80, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
TasksAgainstTheReference.TestCase.settings = STORIES
TestTasksAgainstTheReference = TasksAgainstTheReference.TestCase
