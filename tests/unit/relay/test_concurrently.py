"""Work side by side, and given up on time: what comes back, when, and that nothing goes on behind it."""

from __future__ import annotations

import pytest
from tests.ports.time import Time, settled

from rtms_relay.adapters.system import AsyncioJobs
from rtms_relay.concurrently import all_done, some_done, within


class Work:
    """Work that ends after some seconds. `said`: what it says when it ends, and how it ended."""

    def __init__(self, clock: Time) -> None:
        self.clock, self.said = clock, list[str]()

    async def lasting(self, seconds: float, name: str = "work", error: Exception | None = None) -> str:
        try:
            await self.clock.sleep(seconds)
        except BaseException:
            self.said.append(f"{name} was cancelled")
            raise
        self.said.append(f"{name} ended")
        if error is not None:
            raise error
        return f"what came of {name}"


@pytest.fixture
def clock() -> Time:
    return Time(0)


@pytest.fixture
def work(clock: Time) -> Work:
    return Work(clock)


async def nothing_goes_on(jobs: AsyncioJobs) -> bool:
    await settled()
    return not jobs._running


@pytest.mark.parametrize("seconds", [0.0, 1.999])
async def test_work_that_ends_in_time_gives_its_result_at_once(clock: Time, work: Work, seconds: float) -> None:
    jobs = AsyncioJobs()
    assert await clock.until_done(within(jobs, clock, 2.0, work.lasting(seconds), "the work")) == "what came of work"
    assert clock.monotonic_ms() == seconds * 1000
    assert await nothing_goes_on(jobs)


async def test_work_that_takes_longer_is_ended_and_that_is_said(clock: Time, work: Work) -> None:
    jobs = AsyncioJobs()
    with pytest.raises(TimeoutError, match=r"^the work took longer than 2\.5 s$"):
        await clock.until_done(within(jobs, clock, 2.5, work.lasting(60), "the work"))
    assert clock.monotonic_ms() == 2_500
    assert await nothing_goes_on(jobs)
    assert work.said == ["work was cancelled"]


async def test_what_work_raises_is_raised(clock: Time, work: Work) -> None:
    jobs = AsyncioJobs()
    with pytest.raises(ValueError, match="its own"):
        await clock.until_done(within(jobs, clock, 2.0, work.lasting(1, error=ValueError("its own")), "the work"))
    assert await nothing_goes_on(jobs)


async def test_work_whose_caller_is_cancelled_is_ended(clock: Time, work: Work) -> None:
    jobs, callers = AsyncioJobs(), AsyncioJobs()
    caller = callers.start(within(jobs, clock, 2.0, work.lasting(1), "the work"), "the caller")
    await settled()
    caller.cancel()
    assert await nothing_goes_on(jobs)
    assert work.said == ["work was cancelled"]


@pytest.mark.parametrize("lasts", [(), (0.0,), (3.0, 1.0, 2.0), (1.0, 3.0)])
async def test_all_are_waited_for_in_whatever_order_they_end(clock: Time, work: Work, lasts: tuple[float, ...]) -> None:
    jobs = AsyncioJobs()
    running = [jobs.start(work.lasting(seconds), "work") for seconds in lasts]
    await clock.until_done(all_done(jobs, running))
    assert all(job.done() for job in running)
    assert clock.monotonic_ms() == max(lasts, default=0) * 1000


@pytest.mark.parametrize(
    ("lasts", "waited_ms", "ended"), [((), 0, 0), ((1.0, 0.5), 1_000, 2), ((1.0, 9.0), 2_000, 1), ((8.0, 9.0), 2_000, 0)]
)
async def test_some_are_waited_for_until_all_are_done_or_the_time_is_over(
    clock: Time, work: Work, lasts: tuple[float, ...], waited_ms: float, ended: int
) -> None:
    jobs, timers = AsyncioJobs(), AsyncioJobs()
    running = [jobs.start(work.lasting(seconds), "work") for seconds in lasts]
    await clock.until_done(some_done(timers, clock, 2.0, running, "the work"))
    assert (clock.monotonic_ms(), len(work.said)) == (waited_ms, ended)
    assert await nothing_goes_on(timers)
    await clock.run(10_000)
    assert work.said == ["work ended"] * len(lasts), "nothing was cancelled"
