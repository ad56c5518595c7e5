"""Virtual time for coroutines of one asyncio loop: nothing waits, and `Time.run` moves on to the next thing that was waited for."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Time:
    """A `Clock`. `now`: the wall clock, ms, which a test may step; `monotonic_ms` only follows what passed."""

    def __init__(self, now: int) -> None:
        self._wall = now
        self._passed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    @property
    def now(self) -> int:
        return int(self._wall + self._passed)

    @now.setter
    def now(self, value: int) -> None:
        """Step the wall clock: durations that run are not touched."""
        self._wall = value - self._passed

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed + max(0.0, seconds) * 1000, next(self._order), waiting))
        await waiting

    async def run(self, for_ms: float = 0.0) -> None:
        """Let everything happen that happens within `for_ms`."""
        end = self._passed + for_ms
        await settled()
        while self._sleepers and self._sleepers[0][0] <= end:
            await self._next()
        self._passed = end

    async def until_done(self, work: Coroutine[Any, Any, T], limit_ms: float = 4_000_000) -> T:
        """Its result, however much time has to pass."""
        task = asyncio.get_running_loop().create_task(work)
        end = self._passed + limit_ms
        await settled()
        while not task.done() and self._sleepers and self._sleepers[0][0] <= end:
            await self._next()
        if not task.done():
            task.cancel()
            raise AssertionError(f"nothing more happens within {limit_ms / 1000:g} s, and it is not done")
        return task.result()

    async def _next(self) -> None:
        at, _, waiting = heapq.heappop(self._sleepers)
        if waiting.done():  # whoever waited was cancelled
            return
        self._passed = max(self._passed, at)
        waiting.set_result(None)
        await settled()


async def settled() -> None:
    """Wait until no coroutine of this loop can go on by itself."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(0)
        if not loop._ready:  # ty: ignore[missing-attribute]  # there is no public way to ask
            return
