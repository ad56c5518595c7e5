"""Putting tasks on queues: with repeated tries, and looks that merge."""

from __future__ import annotations

import hashlib

from rtms_relay import budgets, tasks
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Clock, Path, Queue


async def insist(queue: Queue, clock: Clock, path: Path, body: bytes, patience_ms: float, *, not_before_ms: int | None = None) -> None:
    """Put a task on a queue; try for `patience_ms`. Raises `QueueUnavailable`."""
    began = clock.monotonic_ms()
    pause_ms = budgets.ENQUEUE_PAUSE_MS
    while True:
        try:
            await queue.enqueue(path, body, not_before_ms=not_before_ms)
            return
        except QueueUnavailable:
            if clock.monotonic_ms() - began + pause_ms >= patience_ms:
                raise
        await clock.sleep(pause_ms / 1000)
        pause_ms = min(2 * pause_ms, 10 * budgets.ENQUEUE_PAUSE_MS)


async def enqueue_look(queue: Queue, look: tasks.Look, at: int, again: int = 0) -> None:
    """Have a hand-off looked at, at `at` (ms) or soon after. Looks of one half minute are one task; if that one was there already, it may
    have been done already, too, so the next half minute has one as well. `again`: how often its task was lost. Raises `QueueUnavailable`.
    """
    slot = at // budgets.LOOK_SLOT_MS
    body = tasks.encode(look)
    if await queue.enqueue("/retrieve", body, not_before_ms=at, name=look_name(look.handoff, slot, again)):
        return
    following = slot + 1
    await queue.enqueue("/retrieve", body, not_before_ms=following * budgets.LOOK_SLOT_MS, name=look_name(look.handoff, following, again))


def look_name(handoff: str, slot: int, again: int = 0) -> str:
    """64 hex digits. Hashed, because Cloud Tasks spreads tasks by their names and slows down on sequential ones."""
    return hashlib.sha256(f"look:{handoff}:{slot}:{again}".encode()).hexdigest()
