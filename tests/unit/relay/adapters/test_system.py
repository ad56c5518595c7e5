"""The machine's clock, tasks and randomness, and nothing made of them."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest

from rtms_relay.adapters import system
from rtms_relay.adapters.system import AsyncioJobs, SystemClock, SystemRandomness


def test_moments_are_milliseconds_since_1970_and_durations_are_of_the_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    monkeypatch.setattr(time, "monotonic", lambda: 12.3456)
    assert SystemClock().now_ms() == 1_700_000_000_123
    assert SystemClock().monotonic_ms() == 12.3456 * 1000


async def test_a_sleep_takes_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(system.asyncio, "sleep", sleep)
    assert await SystemClock().sleep(1.5) is None
    assert slept == [1.5]


async def test_a_job_lives_until_it_is_done_though_nobody_holds_it() -> None:
    """The loop keeps weak references only (asyncio docs, "create_task"): a job that waits for something unheard of would vanish."""
    jobs, done = AsyncioJobs(), []

    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    job = weakref.ref(jobs.start(work(), "a job"))
    await asyncio.sleep(0)
    gc.collect()
    task = job()
    assert task is not None
    assert task.get_name() == "a job"
    task.add_done_callback(done.append)
    task.cancel()
    await asyncio.wait({task})
    assert done == [task]
    del task, done
    await asyncio.sleep(0)
    gc.collect()
    assert job() is None  # and no longer than that


async def test_the_first_of_some_jobs_ends_the_wait() -> None:
    jobs, never = AsyncioJobs(), asyncio.Event()
    slow, fast = jobs.start(never.wait(), "slow"), jobs.start(asyncio.sleep(0, "value"), "fast")
    assert await jobs.any_done([slow, fast]) is None
    assert (slow.done(), fast.done(), await fast) == (False, True, "value")
    never.set()
    assert await slow is True


def test_what_is_drawn_is_evenly_spread_between_two_bounds() -> None:
    drawn = [SystemRandomness().uniform(2.0, 4.0) for _ in range(2_000)]
    assert 2.0 <= min(drawn) < 2.05
    assert 3.95 < max(drawn) <= 4.0
    assert 2.9 < sum(drawn) / len(drawn) < 3.1
