"""The seams to the machine: its clock and its randomness. Nothing else in this package reads either."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from rtms_relay.ports import Job

T = TypeVar("T")


class SystemClock:
    """`Clock` of the running machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AsyncioJobs:
    """`Jobs` of the running loop: its tasks."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def any_done(self, jobs: Sequence[Job[Any]]) -> None:
        await asyncio.wait([job for job in jobs if isinstance(job, asyncio.Task)], return_when=asyncio.FIRST_COMPLETED)


class SystemRandomness:
    """`Randomness` of the running machine."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)
