"""Other forms of the webhooks' payloads, and scopes that do not exist."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, LONG, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.scenario import Action
from rtms_simulator.zoom import ZoomApp
from rtms_simulator.zoom.switches import ZoomSwitches


async def test_other_forms_of_the_payloads() -> None:
    scenario = replace(LONG, timeline=(Action(0.5, "drop_signaling"),))
    switches = ZoomSwitches(payload_form="2025", several_urls=True, interrupted_urls=True)

    async def join(payload: dict[str, Any]) -> None:
        first, second = payload["server_urls"].split(",")
        for url in (first, second):
            client = RawClient(payload)
            await client.open(url)
            await client.open_media("audio")
            await client.ready()
            if url == second:
                await client.say({"msg_type": 21, "rtms_stream_id": client.stream_id})
            await client.over()

    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(scenario, HOOK, speed="max", switches=switches).finished()
        await asyncio.gather(*receiver.started)
    start, interrupted, _ = receiver.events
    assert start["payload"].keys() == {"meeting_uuid", "operator_id", "rtms_stream_id", "server_urls"}
    assert interrupted["payload"]["server_urls"] == start["payload"]["server_urls"].split(",")[0]


def test_a_scope_that_is_none() -> None:
    with pytest.raises(ValueError, match="allowed: audio"):
        ZoomApp("c", "s", "t", scopes=frozenset({"smell"}))
