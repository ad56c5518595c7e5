"""The one clock every fake runs on: real, scaled, frozen, or stepped by hand.

Times are **seconds since the epoch** as float (`now`), as Zoom's and Recall's rules are written in seconds; messages that
want milliseconds call `now_ms`. Sleepers wake in the order of their deadlines, also when `advance` jumps over several.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")

FASTEST = 1_000_000
"""Seconds per real second: enough for a year in half a minute."""

LONGEST_STEP_S = 100 * 366 * 86_400
"""A century, in seconds."""

TOLERATED_S = 300.0
"""How far ahead of their own clocks receivers of Recall's webhooks let its signatures be (Standard Webhooks)."""

CALL_PATIENCE_S = 5.0
"""Real seconds that `run_ahead` gives calls that are under way, such as webhooks whose answer decides on a retry."""
_TURNS = 25
"""Turns of the loop in which woken tasks come to their next wait."""

_END_S = 253_370_764_800.0  # the year 9999 begins, after which times could soon not be written any more
_HANDS = f"`rate` (a number from 0 to {FASTEST:,}) and/or `advance` (seconds, a number from 0 to {LONGEST_STEP_S:,})"


def _checked(value: Any, most: int) -> float:
    """Checks a rate or a step. Raises ValueError, also for infinity, NaN and True."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"a clock takes {_HANDS}, found {value!r:.100}")
    return float(value)


@dataclass(slots=True)
class Clock:
    """A clock that runs at `rate` times real time from `epoch` on; `rate` 0 is frozen.

    `advance` moves it at once and ends every wait whose moment has now passed. All use is from one event loop.
    """

    epoch: float | None = None
    rate: float = 1.0
    _base: float = field(init=False)
    _mono: float = field(init=False)
    _sleepers: list[tuple[float, int, asyncio.Future[None], bool]] = field(default_factory=list, init=False)
    _count: itertools.count[int] = field(default_factory=itertools.count, init=False)
    _calls: set[int] = field(default_factory=set, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _checked(self.rate, FASTEST)
        self._base = time.time() if self.epoch is None else self.epoch
        self._mono = time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._base + (time.monotonic() - self._mono) * self.rate

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.now() * 1000)

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of this clock have passed."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, when: float, *, periodic: bool = False) -> None:
        """Return when `now()` has reached `when`; always yields to the loop once. `periodic`: `run_ahead` does not stop there."""
        if when <= self.now():
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._count), future, periodic))
        self._arm()
        await future

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await it for at most `seconds` of this clock. Raises TimeoutError, having cancelled it."""
        work = asyncio.ensure_future(awaitable)
        timer = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({work, timer}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise TimeoutError(f"nothing within {seconds} s")
        finally:
            for task in (work, timer):
                if not task.done():
                    task.cancel()
            await asyncio.gather(work, timer, return_exceptions=True)

    async def answer_of(self, call: Awaitable[T], seconds: float) -> T:
        """As `wait_for`, of work beyond this process: while it lasts, `run_ahead` gives it real time."""
        number = next(self._count)
        self._calls.add(number)
        try:
            return await self.wait_for(call, seconds)
        finally:
            self._calls.discard(number)

    async def run_ahead(self, seconds: float) -> float:
        """Let `seconds` pass at once and stop at each deadline on the way, so that what happens there can set the next one.

        Returns the new time. Raises ValueError as `advance`.
        """
        target = self.now() + self._step(seconds)
        waited_for: set[int] = set()
        while True:
            await self._settle(waited_for)
            if (deadline := self._next_stop(target)) >= target:
                break
            self._go_to(deadline)
        self._go_to(target)
        await self._settle(waited_for)
        return self.now()

    async def step_ahead(self, most_s: float) -> float:
        """Go to the next moment that somebody waits for, as `run_ahead` stops there, at most `most_s` on. Returns by how much it moved."""
        await self._settle(set())
        began = self.now()
        limit = began + self._step(most_s)
        self._go_to(min(limit, self._next_stop(limit)))
        moved = self.now() - began
        await self._settle(set())
        return moved

    @property
    def calls_open(self) -> bool:
        """Whether work beyond this process is waited for (`answer_of`)."""
        return bool(self._calls)

    def _next_stop(self, default: float) -> float:
        return min((when for when, _, future, periodic in self._sleepers if not periodic and not future.done()), default=default)

    def _go_to(self, when: float) -> None:
        self._base += max(0.0, when - self.now())
        self._wake()

    async def _settle(self, waited_for: set[int]) -> None:
        """Let what has been woken go on until it waits again. A call that takes longer than `CALL_PATIENCE_S` is not waited for twice."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        give_up = time.monotonic() + CALL_PATIENCE_S
        while (open_calls := self._calls - waited_for) and time.monotonic() < give_up:
            await asyncio.sleep(0.002)
            for _ in range(_TURNS if not open_calls <= self._calls else 0):
                await asyncio.sleep(0)
        waited_for |= self._calls

    def advance(self, seconds: float) -> float:
        """Jump forward and end every wait whose moment has come. Returns the new time.

        Raises ValueError for a step that is negative, beyond a century, or beyond the year 9998.
        """
        self._base += self._step(seconds)
        self._wake()
        return self.now()

    def set_rate(self, rate: float) -> None:
        """Run at `rate` times real time from now on; 0 freezes. Raises ValueError for a rate that is negative or beyond FASTEST."""
        rate = _checked(rate, FASTEST)
        mono = time.monotonic()  # read once: what passes between two readings would be lost
        self._base += (mono - self._mono) * self.rate
        self._mono, self.rate = mono, rate
        self._arm()

    def turn(self, **hands: Any) -> None:
        """`set_rate(rate)` and then `advance(advance)`, whichever is given, as a person asks: both or, with a ValueError, neither."""
        if not hands or hands.keys() - {"rate", "advance"}:
            raise ValueError(f"a clock takes {_HANDS}, found {', '.join(hands) or 'nothing'}")
        if "advance" in hands:
            self._step(hands["advance"])
        if "rate" in hands:
            self.set_rate(hands["rate"])
        if "advance" in hands:
            self.advance(hands["advance"])

    async def turn_ahead(self, *, rate: Any = None, advance: Any = None) -> None:
        """As `turn`, with `run_ahead` for the step."""
        hands = {name: value for name, value in (("rate", rate), ("advance", advance)) if value is not None}
        if "advance" in hands:
            self._step(hands["advance"])
        self.turn(**{**hands, **({"advance": 0} if "advance" in hands else {})})
        if "advance" in hands:
            await self.run_ahead(hands["advance"])

    def freeze(self) -> None:
        self.set_rate(0.0)

    def to_real_time(self) -> None:
        """Show real time again and run at its rate. Pending sleeps keep their remaining duration."""
        before = self.now()
        self._base, self._mono, self.rate = time.time(), time.monotonic(), 1.0
        moved = self._base - before
        self._sleepers = [(when + moved, number, future, periodic) for when, number, future, periodic in self._sleepers]
        self._arm()

    @property
    def next_deadline(self) -> float | None:
        """The earliest moment somebody waits for, so that a test can jump straight to it."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _step(self, seconds: Any) -> float:
        """A step that can be made from here. Raises ValueError."""
        step = _checked(seconds, LONGEST_STEP_S)
        if self.now() + step > _END_S:
            raise ValueError(
                f"the clock cannot go beyond the year 9998, and it is at {datetime.fromtimestamp(self.now(), UTC).isoformat()}"
            )
        return step

    def _wake(self) -> None:
        now = self.now()
        while self._sleepers and self._sleepers[0][0] <= now:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.next_deadline
        if deadline is None or self.rate == 0:
            return
        delay = max(0.0, (deadline - self.now()) / self.rate)
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)
