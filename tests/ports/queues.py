"""A queue in memory that delivers its tasks by itself, and can misbehave as Cloud Tasks does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Path
from tests.ports.plain import nothing
from tests.ports.time import Time

Deliver = Callable[[str, bytes, int], Awaitable[None]]
"""Gives a task to the worker: path, body, when it was due (ms). Whatever it raises is an answer that is not 2xx."""


@dataclass(slots=True)
class Task:
    """One task. `due`: when it is dispatched at the earliest, ms. `attempts`: how often it was."""

    path: Path
    body: bytes
    due: int
    name: str = ""
    attempts: int = 0


@dataclass(slots=True)
class MemoryQueue:
    """`Queue`. `down`: refuses. `hangs_s`: takes that long to answer. `stalled`: takes tasks and dispatches none until that is False again.

    `back_off_s`: shortest and longest pause before another dispatch. `copies`: how often each task is dispatched.
    """

    name: str
    time: Time
    deliver: Deliver
    back_off_s: tuple[float, float] = (1.0, 10.0)
    down: bool = False
    hangs_s: float = 0.0
    stalled: bool = False
    copies: int = 1
    per_second: float = 0.0
    """Dispatches a second; 0: as many as there are."""
    free_at: float = 0.0
    trouble: Callable[[str], Awaitable[None]] = nothing
    """Awaited before a task is taken; may raise."""
    tasks: list[Task] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    dispatched: int = 0
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        await self.trouble("enqueue")
        if self.hangs_s:
            await self.time.sleep(min(self.hangs_s, 2.0))
            if self.hangs_s >= 2.0:
                raise QueueUnavailable(f"{self.name} did not answer within 2 s")
        if self.down:
            raise QueueUnavailable(f"{self.name} is down")
        if name and name in self.names:
            return False
        self.names.add(name)
        for _ in range(self.copies):
            task = Task(path, body, max(self.time.now_ms(), not_before_ms or 0), name)
            self.tasks.append(task)
            running = asyncio.get_running_loop().create_task(self._dispatch(task))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return True

    async def _dispatch(self, task: Task) -> None:
        """Until the worker answers 2xx, or the task is gone."""
        await self.time.sleep((task.due - self.time.now_ms()) / 1000)
        while task in self.tasks:
            if self.stalled:
                await self.time.sleep(1.0)
                continue
            if self.per_second:
                now = self.time.monotonic_ms()
                self.free_at = max(self.free_at, now) + 1000 / self.per_second
                await self.time.sleep((self.free_at - now) / 1000)
            task.attempts += 1
            self.dispatched += 1
            try:
                await self.deliver(task.path, task.body, task.due)
            except BaseException as error:
                if isinstance(error, (asyncio.CancelledError, GeneratorExit, AssertionError)):
                    raise
                shortest, longest = self.back_off_s
                await self.time.sleep(min(longest, shortest * 2 ** (task.attempts - 1)))
            else:
                if task in self.tasks:
                    self.tasks.remove(task)
                return

    async def close(self) -> None:
        for running in list(self._running):
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
