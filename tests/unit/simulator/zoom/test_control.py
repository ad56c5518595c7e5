"""The control plane, route by route, and Zoom's REST call."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, Receiver

from rtms_simulator.clock import Clock
from rtms_simulator.zoom import Zoom, ZoomApp
from rtms_simulator.zoom.control import ROUTES

HOOK = "http://receiver.test/zoom-webhook"


@asynccontextmanager
async def control() -> AsyncGenerator[tuple[httpx.AsyncClient, Zoom, Receiver]]:
    receiver = Receiver()
    app = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)
    zoom = Zoom(Clock(epoch=1_795_000_000.0, rate=0), app, transport=receiver.transport)
    await zoom.start()
    transport = httpx.ASGITransport(zoom.control_app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            yield client, zoom, receiver
    finally:
        await zoom.aclose()


async def test_the_state_names_servers_and_apps_but_no_secret() -> None:
    async with control() as (client, zoom, _):
        answer = await client.get("/_control/state")
        assert answer.json()["server_urls"] == list(zoom.server_urls())
        assert answer.json()["apps"] == [CLIENT_ID]
        assert CLIENT_SECRET not in answer.text
        assert SECRET_TOKEN not in answer.text


async def test_a_meeting_from_beginning_to_end() -> None:
    async with control() as (client, zoom, receiver):
        begun = (await client.post("/_control/meetings", json={"scenario": "stand-up", "webhook_url": HOOK, "speed": "max"})).json()
        [number] = begun["meetings"]
        await zoom.meetings[number].announced()
        report = (await client.get(f"/_control/meetings/{number}")).json()
        assert report["streams"][0]["state"] == "INACTIVE"
        ended = await client.post(f"/_control/meetings/{number}/actions", json={"kind": "stop", "data": {"stop_reason": 8}})
        assert ended.json()["streams"][0]["stop_reason"] == 8
        await zoom.meetings[number].finished()
        assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"]
        assert len((await client.get("/_control/meetings")).json()["meetings"]) == 1
        assert (await client.get(f"/_control/meetings/{number}/traffic")).json() == {"traffic": []}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"scenario": "nope", "webhook_url": HOOK}, "nope"),
        ({"webhook_url": HOOK, "faults": ["nope"]}, "the targets are"),
        ({"webhook_url": HOOK, "speed": 0}, "speed"),
        ({"webhook_url": HOOK, "speed": "fast"}, ""),
        ({}, "webhook_url"),
        ([], "object"),
    ],
)
async def test_a_meeting_that_cannot_be(asked: Any, says: str) -> None:
    async with control() as (client, zoom, _):
        answer = await client.post("/_control/meetings", json=asked)
        assert answer.status_code == 400
        assert says in answer.json()["reason"]
        assert not zoom.meetings


async def test_actions_that_cannot_be() -> None:
    async with control() as (client, _, _):
        [number] = (await client.post("/_control/meetings", json={"webhook_url": HOOK})).json()["meetings"]
        for asked in ({"kind": "dance"}, {}, {"kind": "leave"}, {"kind": "leave", "who": 999}, {"kind": "fault", "data": {"name": "x"}}):
            answer = await client.post(f"/_control/meetings/{number}/actions", json=asked)
            assert answer.status_code == 400, asked
            assert answer.json()["reason"]
        assert (await client.post("/_control/meetings/99/actions", json={"kind": "stop"})).status_code == 404
        assert (await client.get("/_control/meetings/99")).status_code == 404


async def test_deliveries_are_listed_shown_and_replayed() -> None:
    async with control() as (client, _, receiver):
        sent = (await client.post("/_control/events", json={"event": "phone.rtms_stopped", "webhook_url": HOOK})).json()
        assert sent["outcome"] == "delivered"
        [listed] = (await client.get("/_control/deliveries")).json()["deliveries"]
        assert listed["event"] == "phone.rtms_stopped"
        shown = (await client.get(f"/_control/deliveries/{sent['id']}")).json()
        assert shown["body"].startswith('{"event":"phone.rtms_stopped"')
        assert shown["requests"][0]["headers"]["x-zm-signature"].startswith("v0=")
        await client.post(f"/_control/deliveries/{sent['id']}/replay")
        assert receiver.requests[0].content == receiver.requests[1].content
        assert (await client.get("/_control/deliveries/99")).status_code == 404
        assert (await client.post("/_control/deliveries/99/replay")).status_code == 404


async def test_any_event_with_any_payload_in_any_style() -> None:
    async with control() as (client, _, receiver):
        asked = {"event": "future.event", "webhook_url": HOOK, "payload": {"x": "/"}, "event_ts": 5, "style": "escaped-slashes"}
        await client.post("/_control/events", json=asked)
        assert receiver.requests[0].content == b'{"event":"future.event","event_ts":5,"payload":{"x":"\\/"}}'
        for bad in ({"style": "x"}, {"payload": 1}, {"event": ""}):
            assert (await client.post("/_control/events", json=asked | bad)).status_code == 400


async def test_an_endpoint_is_validated() -> None:
    async with control() as (client, _, _):
        answer = (await client.post("/_control/validate", json={"webhook_url": HOOK})).json()
        assert answer["ok"] is False
        assert "plainToken" in answer["problem"]


async def test_faults_are_listed_armed_and_disarmed() -> None:
    async with control() as (client, _, receiver):
        armed = (await client.post("/_control/faults", json={"fault": "zoom.webhook.*: lost x*"})).json()
        await client.post("/_control/events", json={"event": "phone.rtms_stopped", "webhook_url": HOOK})
        assert receiver.requests == []
        assert (await client.delete(f"/_control/faults/{armed['id']}")).json() == {"cleared": 1}
        await client.post("/_control/faults", json={"fault": "zoom.webhook.*: late"})
        assert (await client.delete("/_control/faults")).json() == {"cleared": 1}
        assert (await client.post("/_control/faults", json={"fault": "nope"})).status_code == 400


async def test_the_clock_is_read_moved_and_set() -> None:
    async with control() as (client, zoom, _):
        before = (await client.get("/_control/clock")).json()
        after = (await client.post("/_control/clock", json={"advance_s": 60})).json()
        assert after["now_ms"] - before["now_ms"] == 60_000
        await client.post("/_control/clock", json={"rate": 2})
        assert zoom.clock.rate == 2
        zoom.clock.freeze()
        before = (await client.get("/_control/clock")).json()
        for bad in (
            *({"rate": -1}, {"advance_s": -1}, {"rate": "x"}, {"rate": None}, {"rate": True}, {"rate": 1e300}, {"advance_s": 1e300}),
            *({"advance_s": 1e10}, {"speed": 1}, {"rate": 5, "advance_s": -1}),
        ):
            answer = await client.post("/_control/clock", json=bad)
            assert answer.status_code == 400
            assert "a number from 0 to" in answer.json()["reason"]
            assert (await client.get("/_control/clock")).json() == before


async def test_reset_forgets() -> None:
    async with control() as (client, _, _):
        await client.post("/_control/meetings", json={"webhook_url": HOOK})
        assert (await client.post("/_control/reset")).json() == {"reset": True}
        assert (await client.get("/_control/meetings")).json() == {"meetings": []}


async def test_a_body_that_is_no_json() -> None:
    async with control() as (client, _, _):
        assert (await client.post("/_control/events", content=b"{")).json()["error"] == "bad_json"


async def test_zooms_own_rest_call() -> None:
    async with control() as (client, zoom, receiver):
        await client.post("/_control/meetings", json={"webhook_url": HOOK, "linger": True})
        meeting = zoom.meetings[1]
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


def test_every_route_says_what_it_does() -> None:
    assert all(says and path.startswith("/") for _, path, _, says in ROUTES)
