"""A Cloud Scheduler job over histories of slow runs, pauses and a clock that jumps.

Source: the reference of Job.schedule and Job.state. A job has fixed times; a run that lasts beyond the next one delays it; while it is
paused nothing is run, and what passed is not made up for.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import httpx
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import Scheduler

EPOCH = 1_700_000_000.0
EVERY_S = 60.0


class SchedulerAgainstTheReference(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock(EPOCH, 0)
        self.takes_s = 0.0
        self.began: list[tuple[float, float]] = []
        """When each run began, and its scheduled time as its header says it."""
        self.ended: list[float] = []
        self.pauses: list[tuple[float, float]] = []
        self.looks: set[float] = {EPOCH}
        """The moments at which the clock stood: what is due between two of them can only be noticed at the second."""
        self.scheduler = self.runner.run(self.open())

    async def open(self) -> Scheduler:
        scheduler = Scheduler(self.clock, "http://worker.test/sweep", EVERY_S, transport=httpx.MockTransport(self.sweep))
        await scheduler.start()
        return scheduler

    def teardown(self) -> None:
        self.runner.run(self.scheduler.aclose())
        self.runner.close()

    async def sweep(self, request: httpx.Request) -> httpx.Response:
        said = request.headers["x-cloudscheduler-scheduletime"].replace("Z", "+00:00")
        self.began.append((self.clock.now(), _seconds(said)))
        if self.takes_s:
            await self.clock.sleep(self.takes_s)
        self.ended.append(self.clock.now())
        return httpx.Response(200)

    @rule(takes=st.sampled_from([0.0, 0.0, 20.0, 75.0, 150.0]))
    def runs_take_a_while(self, takes):
        self.takes_s = takes

    @rule()
    def it_is_paused(self):
        if not self.scheduler.paused:
            self.scheduler.paused = True
            self.pauses.append((self.clock.now(), float("inf")))

    @rule()
    def it_is_resumed(self):
        if self.scheduler.paused:
            self.scheduler.paused = False
            self.pauses[-1] = (self.pauses[-1][0], self.clock.now())

    @rule(seconds=st.sampled_from([1.0, 30.0, 60.0, 100.0, 615.0]))
    def time_passes(self, seconds):
        async def passed() -> None:
            until = self.clock.now() + seconds
            while (moment := self.clock.next_deadline) is not None and moment <= until:
                await self.step(moment - self.clock.now())
            await self.step(until - self.clock.now())

        self.runner.run(passed())

    @rule(seconds=st.sampled_from([61.0, 200.0, 600.0]))
    def the_clock_jumps(self, seconds):
        self.runner.run(self.step(seconds))

    async def step(self, seconds: float) -> None:
        self.clock.advance(max(0.0, seconds))
        self.looks.add(self.clock.now())
        for _ in range(60):
            await asyncio.sleep(0)

    @invariant()
    def every_run_is_for_a_time_of_its_own_on_the_grid(self):
        times = [due for _, due in self.began]
        assert times == sorted(set(times))
        assert all((due - EPOCH) % EVERY_S == 0 and due > EPOCH for due in times)

    @invariant()
    def no_run_begins_before_its_time_while_another_is_under_way_or_in_a_pause(self):
        for number, (at, due) in enumerate(self.began):
            assert at >= due
            assert number == 0 or self.ended[number - 1] <= at
            assert not any(start < at < end for start, end in self.pauses)

    @invariant()
    def a_time_is_run_unless_a_later_one_took_its_place_or_the_job_was_paused(self):
        now = self.clock.now()
        made = {due for _, due in self.began}
        busy = [(at, end) for (at, _), end in zip(self.began, [*self.ended, float("inf")], strict=False)]
        due = EPOCH + EVERY_S
        while due <= now:
            noticed = min(look for look in self.looks if look >= due)
            paused = any(start <= noticed and due <= end for start, end in self.pauses)
            late = noticed >= due + EVERY_S or any(at <= noticed < end for at, end in busy)
            assert due in made or paused or late
            due += EVERY_S

    @invariant()
    def a_run_is_delayed_by_the_one_before_it_and_by_nothing_else(self):
        for number, (at, due) in enumerate(self.began):
            noticed = min(look for look in self.looks if look >= due)
            assert at == noticed or (number > 0 and at == self.ended[number - 1])
            # One delayed run, for the latest of the times that had come.
            assert at == noticed or at < due + EVERY_S


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


STORIES = settings(max_examples=60, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
SchedulerAgainstTheReference.TestCase.settings = STORIES
TestSchedulerAgainstTheReference = SchedulerAgainstTheReference.TestCase
