"""A queue of timers: each call runs once, in the order of the times at which they are due.

Due things are done when the clock wakes their task, or earlier by `settle`, which every request calls first: so a request
never sees a state that the clock has already passed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from rtms_simulator.clock import Clock


class Timers:
    """One list of due actions on one clock. Use it inside a running event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._wakers: set[asyncio.Task[None]] = set()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call `action` once the clock has reached `when` (seconds since the epoch); never before this call has returned."""
        heapq.heappush(self._due, (when, next(self._count), action))
        waker = asyncio.get_running_loop().create_task(self._wake(when))
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    @property
    def imminent(self) -> bool:
        """Whether something is due now."""
        return bool(self._due) and self._due[0][0] <= self._clock.now()

    def settle(self) -> None:
        """Do all that is due now."""
        while self._due and self._due[0][0] <= self._clock.now():
            heapq.heappop(self._due)[2]()

    def clear(self) -> None:
        """Forget everything that was to come."""
        self._due.clear()
        for waker in self._wakers:
            waker.cancel()

    async def _wake(self, when: float) -> None:
        await self._clock.sleep_until(when)
        self.settle()
