"""Tasks onto queues: how often and how long it is tried, and which looks are one task."""

from __future__ import annotations

import hashlib

import pytest
from tests.ports.events import NOW
from tests.ports.queues import MemoryQueue
from tests.ports.time import Time

from rtms_relay import tasks
from rtms_relay.enqueueing import enqueue_look, insist, look_name
from rtms_relay.errors import QueueUnavailable

HANDOFF = "ab" * 32
LOOK = tasks.Look(received_ms=NOW, handoff=HANDOFF, recording_id="rec-1", message="msg_1")


async def never(path: str, body: bytes, due_ms: int) -> None:
    raise AssertionError("nothing is delivered here")


UP_MS = 10_000
"""How long the process has been up."""


class Tries:
    """A queue that refuses, until `takes_at` (ms), and when it was tried."""

    def __init__(self, takes_at: float = float("inf")) -> None:
        self.clock, self.at = Time(NOW), list[float]()
        self.queue = MemoryQueue("q", self.clock, never, stalled=True, trouble=self.trouble)
        self.takes_at = takes_at

    async def trouble(self, _: str) -> None:
        self.at.append(self.clock.monotonic_ms() - UP_MS)
        if self.at[-1] < self.takes_at:
            raise QueueUnavailable(f"try {len(self.at)} was refused")

    async def insist(self, patience_ms: float, not_before_ms: int | None = None) -> None:
        await self.clock.run(UP_MS)
        work = insist(self.queue, self.clock, "/events", b"body", patience_ms, not_before_ms=not_before_ms)
        try:
            await self.clock.until_done(work)
        finally:
            await self.queue.close()


@pytest.mark.parametrize(
    ("patience_ms", "at"),
    [
        (0, [0]),
        (100, [0]),
        (101, [0, 100]),
        (300, [0, 100]),
        (301, [0, 100, 300]),
        (2_500, [0, 100, 300, 700, 1_500]),
        (2_501, [0, 100, 300, 700, 1_500, 2_500]),
        (5_000, [0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500]),
    ],
)
async def test_pauses_double_to_a_second_and_no_try_comes_after_the_patience(patience_ms: float, at: list[float]) -> None:
    tries = Tries()
    with pytest.raises(QueueUnavailable, match=f"^try {len(at)} was refused$"):
        await tries.insist(patience_ms)
    assert tries.at == at
    assert tries.clock.monotonic_ms() == UP_MS + at[-1]


@pytest.mark.parametrize("due", [None, NOW + 60_000])
async def test_what_is_taken_in_the_end_is_the_task_as_it_was_and_it_is_one(due: int | None) -> None:
    tries = Tries(takes_at=700)
    await tries.insist(2_500, due)
    assert tries.at == [0, 100, 300, 700]
    [task] = tries.queue.tasks
    assert (task.path, task.body, task.due, task.name) == ("/events", b"body", due or NOW + UP_MS + 700, "")


async def test_another_failure_than_the_queues_is_not_tried_again() -> None:
    tries = Tries()

    async def broken(_: str) -> None:
        tries.at.append(tries.clock.monotonic_ms() - UP_MS)
        raise ZeroDivisionError

    tries.queue.trouble = broken
    with pytest.raises(ZeroDivisionError):
        await tries.insist(5_000)
    assert tries.at == [0]


def named(slot: int, again: int = 0) -> str:
    return hashlib.sha256(f"look:{HANDOFF}:{slot}:{again}".encode()).hexdigest()


def test_the_name_of_a_look_is_of_its_hand_off_half_minute_and_loss() -> None:
    assert look_name(HANDOFF, 7) == named(7)
    assert look_name(HANDOFF, 7, 2) == named(7, 2)


@pytest.mark.parametrize("again", [0, 2])
async def test_a_second_look_of_a_half_minute_is_one_of_the_next_and_a_third_is_none(again: int) -> None:
    clock = Time(NOW)
    queue = MemoryQueue("retrievals", clock, never, stalled=True)
    slot, body = NOW // 30_000, tasks.encode(LOOK)
    first, second, third = NOW + 12_345, NOW + 29_999, NOW
    for at in (first, second, third):
        await enqueue_look(queue, LOOK, at, *([again] if again else []))
    assert [(task.path, task.body, task.due, task.name) for task in queue.tasks] == [
        ("/retrieve", body, first, named(slot, again)),
        ("/retrieve", body, (slot + 1) * 30_000, named(slot + 1, again)),
    ]
    await enqueue_look(queue, LOOK, NOW + 30_000, again + 1)
    assert [(task.due, task.name) for task in queue.tasks[2:]] == [(NOW + 30_000, named(slot + 1, again + 1))]
    await queue.close()
