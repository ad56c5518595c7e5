"""Every scenario of the library takes place, to its own end, with an app that joins and comes back as Zoom's documentation tells it to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, ENTITY_FIELDS, SECRET_TOKEN, RawClient, Receiver
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import load, names
from rtms_simulator.zoom import Zoom, ZoomApp

# What ends the last stream of each; the others end with the meeting.
ENDS = {"bad-signature": 18, "contact-center-call": 21, "keep-alive-death": 24, "never-joined": 11, "revoked": 8}


@pytest.mark.parametrize("name", sorted(names()))
async def test_it_takes_place(name: str) -> None:
    """On a clock fifty times as fast, because some of them are about waiting a minute for somebody who does not come."""
    scenario = load(name)
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        for _ in range(3):
            client = RawClient(payload, entity_field=ENTITY_FIELDS[scenario.product])
            try:
                if (await client.open())["status_code"] != 0:
                    return
                clients.append(client)
                for kind in ("audio", "transcript", "chat"):
                    if kind in client.urls:
                        await client.open_media(kind)
                await client.ready()
            except (InvalidStatus, ConnectionClosed):
                return
            await client.over()
            if 4 in client.states(8):
                return

    receiver = Receiver(join)
    app = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)
    zoom = Zoom(Clock(rate=50), app, transport=receiver.transport)
    await zoom.start()
    try:
        reports = await zoom.play_all(scenario, "http://receiver.test/", speed="max")
        await asyncio.gather(*receiver.started)
    finally:
        await zoom.aclose()
    assert len(reports) == scenario.meetings
    for report in reports:
        assert report.streams[-1].stop_reason == ENDS.get(name, 6)
        assert all(stream.state == "TERMINATED" and stream.problem is None for stream in report.streams)
        assert report.joined is (name not in ("bad-signature", "never-joined"))
    # Whoever came got all there was to get: each stream's sound, over all its connections.
    for report in reports:
        for stream in report.streams:
            got = [client.got["audio"].data for client in clients if client.stream_id == stream.stream_id and "audio" in client.got]
            assert sum(map(len, got)) == stream.sent.get("audio", {}).get("bytes", 0)
