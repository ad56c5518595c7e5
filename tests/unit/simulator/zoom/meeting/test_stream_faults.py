"""Faults of a running stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, LONG, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.faults import parse_fault
from rtms_simulator.scenario import Action
from rtms_simulator.zoom.switches import ZoomSwitches


async def test_keep_alive_silence_and_what_a_client_says_amiss() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio")
        await client.say({"msg_type": 99})
        await client.over()

    switches = ZoomSwitches(keep_alive_interval_s=0.1)
    async with zoom_for(join, switches=switches) as (zoom, receiver):
        faults = (parse_fault("zoom.stream: keep-alive-silence at=0.35s"), parse_fault("zoom.stream: slow-close 0.1s"))
        report = await zoom.begin(replace(LONG, timeline=(), duration_s=1.0), HOOK, faults=faults).finished()
        await asyncio.gather(*receiver.started)
    assert 4 <= report.streams[0].keep_alives <= 8
    assert report.streams[0].complaints == 1
    assert report.streams[0].stop_reason == 6


async def test_a_stream_fault_in_the_scenario() -> None:
    timeline = (
        Action(0.3, "fault", data={"fault": "zoom.stream: slow-close 0.2s"}),
        Action(0.5, "fault", data={"fault": "zoom.stream: drop-media"}),
    )
    scenario = replace(LONG, timeline=timeline, duration_s=1.0)

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        await client.join("audio")
        await until(lambda: client.closes.get("audio") == 1006)
        await client.open_media("audio")
        await client.ready()
        await client.over()
        assert len(client.got["audio"].data) == 32_000

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    assert "audio socket dropped" in [what for _, what in report.timeline]
