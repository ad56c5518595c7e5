"""`rtms_simulator.zoom.unattended`: a meeting that nobody joins ends at once, and as it would have ended in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rtms_simulator.clock import TOLERATED_S, Clock
from rtms_simulator.control.answers import PlayRequest
from rtms_simulator.kit.play import perform, resolve
from rtms_simulator.zoom import MeetingReport, Zoom, ZoomApp

APP = ZoomApp("client", "client-secret", "hooksecret")
AHEAD = "nobody joins and nothing is outstanding: the fakes' clock runs ahead"


async def played(
    clock: Clock,
    scenario: str,
    speed: float | str = 1,
    *,
    answer: Callable[[httpx.Request], Any] = lambda _request: httpx.Response(200),
    life: Callable[[], object] = lambda: None,
    real_time: Clock | None = None,
) -> MeetingReport:
    zoom = Zoom(clock, APP, transport=httpx.MockTransport(answer))
    await zoom.start()
    try:
        play = resolve(PlayRequest(scenario=scenario, speed=speed, patience_s=0.2))
        [report] = await perform(zoom, play, "http://receiver.test/", real_time=real_time or Clock(), life=life)
        return report
    finally:
        await zoom.aclose()


@pytest.mark.parametrize("speed", [1, 4, "max"])
@pytest.mark.parametrize(
    ("scenario", "reason", "ended_s"),
    [("stand-up", 6, 12), ("bad-signature", 18, 8), ("never-joined", 11, 60), ("host-stops-and-reallows", 6, 16)],
)
async def test_it_ends_at_once_with_the_reason_and_at_the_moment_of_real_time_whatever_the_speed(scenario, reason, ended_s, speed):
    clock, real_time = Clock(), Clock()
    report = await played(clock, scenario, speed, real_time=real_time)
    assert [stream.joined_ms for stream in report.streams] == [None] * len(report.streams)
    assert report.streams[-1].stop_reason == reason
    assert (report.streams[-1].ended_ms or 0) / 1000 == pytest.approx(ended_s, abs=2)
    assert AHEAD in [what for _, what in report.timeline]
    assert clock.now() - real_time.now() > ended_s * 0.6  # the rest of it was not waited for


async def test_as_long_as_something_happens_the_clock_keeps_its_pace():
    """Another fake is asked again and again, so somebody may still come."""
    looks = []
    clock, real_time = Clock(), Clock()

    def life() -> object:
        looks.append(clock.now() - real_time.now())
        return len(looks) if len(looks) < 12 else "over"

    await played(clock, "stand-up", "max", life=life, real_time=real_time)
    assert max(looks[:12]) < 0.5
    assert clock.now() - real_time.now() > 5


async def test_a_webhook_that_is_under_way_is_waited_for():
    clock, real_time, seen = Clock(), Clock(), []

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1.0)
        seen.append(clock.now() - real_time.now())
        return httpx.Response(200)

    await played(clock, "stand-up", "max", answer=slow, real_time=real_time)
    assert seen[0] < 0.5


async def test_a_clock_that_is_minutes_ahead_is_not_moved_on_and_that_is_said():
    """Beyond five minutes a receiver of Recall's webhooks would refuse them, in this meeting and in every later one."""
    clock, real_time = Clock(), Clock()
    clock.advance(TOLERATED_S - 30)
    playing = asyncio.ensure_future(played(clock, "stand-up", "max", real_time=real_time))
    await asyncio.sleep(1.5)
    assert not playing.done()
    assert clock.now() - real_time.now() < TOLERATED_S - 25
    clock.advance(60)  # as a person may, who then knows what follows
    report = await playing
    assert any("is not moved (`rtmskit reset`" in what for _, what in report.timeline)
    assert report.streams[0].stop_reason == 11


async def test_a_frozen_clock_stays_where_it_is():
    clock = Clock(epoch=1_000_000.0, rate=0)
    playing = asyncio.ensure_future(played(clock, "stand-up", "max"))
    await asyncio.sleep(0.8)
    assert (playing.done(), clock.now()) == (False, 1_000_000.0)
    clock.advance(61)
    assert (await playing).streams[0].stop_reason == 11


async def test_a_meeting_beside_it_that_goes_on_in_real_time_is_not_hurried():
    """Two in one Zoom: the clock is everybody's."""
    clock, real_time = Clock(), Clock()
    zoom = Zoom(clock, APP, transport=httpx.MockTransport(lambda _request: httpx.Response(200)))
    await zoom.start()
    try:
        play = resolve(PlayRequest(scenario="one-to-one", speed=1, patience_s=0.2))
        beside = zoom.begin(play.scenario, "http://receiver.test/")
        beside.streams[0].live.joined_at = clock.now()
        playing = asyncio.ensure_future(perform(zoom, play, "http://receiver.test/", real_time=real_time))
        await asyncio.sleep(1.0)
        assert clock.now() - real_time.now() < 0.5
        await beside.aclose()
        await playing
        assert clock.now() - real_time.now() > 3
    finally:
        await zoom.aclose()
