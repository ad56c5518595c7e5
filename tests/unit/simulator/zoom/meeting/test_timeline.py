"""When things of a meeting happen: actions and packets in the order of their moments, however late the machine is."""

from __future__ import annotations

import asyncio

import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.zoom.meeting.timeline import STALLED_S, MeetingTimeline


def a_timeline(speed: float = 1.0) -> tuple[MeetingTimeline, Clock]:
    clock = Clock(epoch=1_000.0, rate=0)
    timeline = MeetingTimeline(clock, speed, attended=lambda: True)
    timeline.begin()
    return timeline, clock


async def idle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_an_action_waits_for_every_packet_before_it_and_no_later_one_passes(speed: float) -> None:
    timeline, clock = a_timeline(speed)
    sent: list[int] = []

    async def flow() -> None:
        run = timeline.join(0)
        for at_ms in range(20_000):
            await run.reach(at_ms)
            sent.append(at_ms)

    acting = asyncio.create_task(timeline.act_at(5_000, over=lambda: False))
    flowing = asyncio.create_task(flow())
    await asyncio.sleep(0)
    clock.advance(30)  # the machine was away for half a minute
    assert await acting
    assert sent == list(range(5_001))
    await idle()
    assert sent[-1] == 5_000
    timeline.open_gate()
    await flowing
    assert sent[-1] == 19_999


async def test_a_reader_that_stalls_holds_an_action_up_for_two_seconds_only() -> None:
    timeline, clock = a_timeline()
    run = timeline.join(0)
    acting = asyncio.create_task(timeline.act_at(100, over=lambda: False))
    await idle()
    clock.advance(60)
    await idle()
    assert not acting.done()  # it is late, but nothing says that its reader is to blame
    run.stalled = True
    await idle()
    clock.advance(STALLED_S - 0.1)
    await idle()
    assert not acting.done()
    clock.advance(0.2)
    await idle()
    assert acting.done()
    assert await acting


async def test_an_action_is_given_up_when_nothing_is_left_to_act_on() -> None:
    timeline, _ = a_timeline()
    over = False
    acting = asyncio.create_task(timeline.act_at(5_000, over=lambda: over))
    await idle()
    over = True
    timeline.moved()
    assert await acting is False
