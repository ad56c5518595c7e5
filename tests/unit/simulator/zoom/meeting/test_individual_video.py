"""Individual video: one participant after the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.unit.simulator.zoom.meeting.test_meeting import ADA, HOOK, LONG, ZOE, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.scenario import Action


async def test_individual_video_changes_from_one_to_the_other() -> None:
    timeline = (Action(0.0, "video_on", ADA.user_id), Action(0.0, "video_on", ZOE.user_id))
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.open()
        await client.open_media("video", {"video": {"data_opt": 4, "resolution": 1}})
        await client.ready()
        for person in (ADA, ZOE):
            await client.say({"msg_type": 28, "user_id": person.user_id, "subscribe": True})
            await until(lambda wanted=person: "video" in client.got and client.got["video"].contents[-1]["user_id"] == wanted.user_id)
        await client.say({"msg_type": 28, "user_id": ZOE.user_id, "subscribe": False})
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(replace(LONG, timeline=timeline, duration_s=2.5), HOOK).finished()
        await asyncio.gather(*receiver.started)
    senders = [content["user_id"] for content in clients[0].got["video"].contents]
    assert senders == sorted(senders)
    assert set(senders) == {ADA.user_id, ZOE.user_id}
    assert len(senders) < 12
    assert (report.ended_ms or 0) < 4000  # no run of pictures that was given up holds the end of the meeting up
