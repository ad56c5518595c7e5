"""Tasks that run beside their owner and end with it, and the wait for the first of several."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundTasks:
    """The tasks of one owner. Its truth value says whether any is running. Use it inside a running event loop.

    An exception of a task is reported by asyncio as for any task that nobody awaits; await what `start` returns to get it.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` now, beside the caller."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self) -> None:
        """Return when no task is left, those included that tasks start meanwhile. Call it from outside these tasks."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Cancel every task, without waiting for its end."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Cancel every task and wait for its end, those included that are started meanwhile. Repeatable."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # From Python 3.12 on, gather does not yield if all are done, so their own callbacks may not have run yet.
            self._tasks.difference_update(tasks)


async def first_of(*works: Awaitable[Any]) -> asyncio.Future[Any]:
    """Wait until one of `works` is done and return it as a future that has a result or an exception.

    Of several that are done at once it is the first in the order given. The others are cancelled and awaited, also when the caller
    is cancelled; shield what must go on.
    """
    futures = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        return next(future for future in futures if future.done())
    finally:
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
