"""Doing things side by side, and giving up on time, over the seams `Jobs` and `Clock`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from rtms_relay.ports import Clock, Job, Jobs

T = TypeVar("T")


async def within(jobs: Jobs, clock: Clock, seconds: float, work: Coroutine[Any, Any, T], name: str) -> T:
    """Its result. Raises TimeoutError once `seconds` have passed; it is cancelled then."""
    job, timer = jobs.start(work, name), jobs.start(clock.sleep(seconds), f"{name}: timer")
    try:
        await jobs.any_done([job, timer])
        if not job.done():
            raise TimeoutError(f"{name} took longer than {seconds:g} s")
        return job.result()
    finally:
        job.cancel()
        timer.cancel()


async def all_done(jobs: Jobs, running: Sequence[Job[Any]]) -> None:
    """Wait for every one of them."""
    for job in running:
        if not job.done():
            await jobs.any_done([job])


async def some_done(jobs: Jobs, clock: Clock, seconds: float, running: Sequence[Job[Any]], name: str) -> None:
    """Wait until all of them are done or `seconds` have passed. Nothing is cancelled."""
    timer = jobs.start(clock.sleep(seconds), f"{name}: timer")
    try:
        while not timer.done() and (open_ := [job for job in running if not job.done()]):
            await jobs.any_done([*open_, timer])
    finally:
        timer.cancel()
