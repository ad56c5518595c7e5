"""Zoom's own REST call."""

from __future__ import annotations

from typing import Any

import httpx
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, Receiver

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import load
from rtms_simulator.zoom import Zoom, ZoomApp

HOOK = "http://receiver.test/zoom-webhook"


async def test_zooms_own_rest_call() -> None:
    receiver = Receiver()
    app = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)
    zoom = Zoom(Clock(epoch=1_795_000_000.0, rate=0), app, transport=receiver.transport)
    await zoom.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(zoom.rest_app), base_url="http://zoom") as client:
        meeting = zoom.begin(load("stand-up"), HOOK, linger=True)
        await meeting.announced()
        url = f"/v2/live_meetings/{meeting.meeting_id}/rtms_app/status"
        bearer = {"authorization": "Bearer token"}
        body: dict[str, Any] = {"action": "stop", "settings": {"client_id": CLIENT_ID}}
        assert (await client.patch(url, json=body)).json()["code"] == 124
        assert (await client.patch(url, json=body, headers=bearer)).status_code == 204
        await meeting.announced()
        assert receiver.names()[-1] == "meeting.rtms_stopped"
        assert (await client.patch(url, json=body | {"action": "start"}, headers=bearer)).status_code == 204
        await meeting.announced()
        assert receiver.names()[-1] == "meeting.rtms_started"
        assert receiver.events[-1]["payload"]["rtms_stream_id"] != receiver.events[0]["payload"]["rtms_stream_id"]
        for change, status, code in (
            ({"settings": {"client_id": "other"}}, 400, 2310),
            ({"settings": {"client_id": CLIENT_ID, "participant_user_id": "nobody"}}, 400, 2308),
            ({"action": "explode"}, 400, 300),
        ):
            answer = await client.patch(url, json=body | change, headers=bearer)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (await client.patch("/v2/live_meetings/1/rtms_app/status", json=body, headers=bearer)).status_code == 404
    await zoom.aclose()
