"""How a meeting ends when no stream is left, and when media cannot be made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, LONG, hold, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.scenario import Action
from rtms_simulator.zoom.media import MediaPacket


async def test_a_meeting_is_over_when_no_stream_is_left_and_none_will_come() -> None:
    """In real time, long before its scripted end."""
    timeline = (Action(0.1, "stop"), Action(0.2, "reallow"), Action(0.4, "stop"))
    report, _, receiver = await hold("audio", scenario=replace(LONG, timeline=timeline), speed=1.0)
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"] * 2
    assert report.ended_ms is not None
    assert report.ended_ms < 10_000


async def test_media_that_cannot_be_made_ends_the_stream_and_the_report_says_why() -> None:
    class Broken:
        def packets(self, media_type: int, params: Any, *, start_ms: int = 0, user_id: int | None = None) -> Iterator[MediaPacket]:
            yield MediaPacket(0, 1, 0, None, b"12", 20)
            raise OSError("the file is gone")

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        await client.join("audio")
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(LONG, HOOK, speed="max", source=Broken()).finished()
        await asyncio.gather(*receiver.started)
    assert report.streams[0].problem == "OSError: the file is gone"
    assert receiver.events[-1]["payload"]["stop_reason"] == 10
