"""The event WebSocket with a client written from the reference: subscription, heartbeats, reconnects, the same events, over ws and wss."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, RawClient, Receiver
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Person, Scenario
from rtms_simulator.zoom import Tls, Zoom, ZoomApp
from rtms_simulator.zoom.event_socket.messages import read_client_message, read_request
from rtms_simulator.zoom.switches import ZoomSwitches

SHORT = Scenario("short", (Person(1, "Ada", "host"),), (), 0.3, meeting_events=("meeting.started", "meeting.ended"))
APP = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)
OTHER = ZoomApp("other-id", "other-secret", "other-token")
HOOK = "http://receiver.test/"


@asynccontextmanager
async def a_zoom(**options: Any) -> AsyncGenerator[tuple[Zoom, httpx.AsyncClient, Receiver]]:
    receiver = Receiver()
    switches = ZoomSwitches(**options.pop("switches", {}))
    zoom = Zoom(options.pop("clock", None) or Clock(), APP, more_apps=(OTHER,), transport=receiver.transport, switches=switches, **options)
    await zoom.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(zoom.rest_app), base_url="http://zoom.test") as rest:
        try:
            yield zoom, rest, receiver
        finally:
            await zoom.aclose()


async def token(rest: httpx.AsyncClient, app: ZoomApp = APP, **fields: str) -> str:
    form = {"grant_type": "account_credentials", "account_id": "x"} | fields
    answer = await rest.post("/oauth/token", data=form, auth=(app.client_id, app.client_secret))
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


async def opened(zoom: Zoom, access_token: str, **options: Any) -> tuple[ClientConnection, dict[str, Any]]:
    """A connection and its first message."""
    socket = await connect(f"{zoom.event_socket_url()}&access_token={access_token}", **options)
    return socket, json.loads(await socket.recv())


async def closed(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 5)
    return socket.close_code


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_the_events_are_those_of_the_webhook(scheme: str, tmp_path: Path) -> None:
    tls = Tls(tmp_path) if scheme == "wss" else None
    async with a_zoom(tls=tls) as (zoom, rest, receiver):
        context = {"ssl": ssl.create_default_context(cafile=str(tls.ca_file))} if tls else {}
        socket, built = await opened(zoom, await token(rest), **context)
        assert (built["module"], built["success"]) == ("build_connection", True)
        meeting = zoom.begin(SHORT, HOOK)
        messages = [json.loads(await socket.recv()) for _ in range(2)]
        client = RawClient(json.loads(messages[1]["content"])["payload"], ssl_context=context.get("ssl"))
        await client.join("audio")
        await meeting.finished()
        messages += [json.loads(await socket.recv()) for _ in range(2)]
        await socket.close()
        await client.over()
    assert {message["module"] for message in messages} == {"message"}
    events = [json.loads(message["content"]) for message in messages]
    assert [event["event"] for event in events] == ["meeting.started", "meeting.rtms_started", "meeting.rtms_stopped", "meeting.ended"]
    by_time = sorted(receiver.events, key=lambda event: event["event_ts"])
    assert events == by_time


async def test_an_app_may_have_the_socket_alone_and_what_it_misses_is_not_sent_later() -> None:
    async with a_zoom() as (zoom, rest, receiver):
        meeting = zoom.begin(SHORT, "", linger=True)
        await meeting.announced()
        assert {delivery.outcome for delivery in meeting.deliveries} == {"withheld"}
        socket, _ = await opened(zoom, await token(rest))
        await meeting.finished()
        first = json.loads(await socket.recv())
        assert json.loads(first["content"])["event"] == "meeting.rtms_stopped"
        await socket.close()
        assert receiver.events == []
        assert [delivery.outcome for delivery in meeting.deliveries][-1] == "delivered"


async def test_heartbeats_are_answered_and_without_them_the_connection_is_closed() -> None:
    clock = Clock()
    async with a_zoom(clock=clock, switches={"event_socket_silence_s": 90}) as (zoom, rest, _):
        socket, _ = await opened(zoom, await token(rest))
        for _ in range(3):
            clock.advance(60)
            await socket.send('{"module":"heartbeat"}')
            assert json.loads(await socket.recv()) == {"module": "heartbeat", "success": True, "content": ""}
        clock.advance(91)
        assert await closed(socket) == 1008


async def test_a_second_connection_takes_the_place_of_the_first() -> None:
    async with a_zoom() as (zoom, rest, _):
        access = await token(rest)
        first, _ = await opened(zoom, access)
        second, built = await opened(zoom, access)
        assert built["success"] is True
        assert await closed(first) == 1000
        meeting = zoom.begin(SHORT, "")
        assert json.loads(await second.recv())["module"] == "message"
        await second.close()
        await meeting.aclose()


async def test_or_is_refused_when_the_switch_says_so() -> None:
    async with a_zoom(switches={"event_socket_second": "refuse"}) as (zoom, rest, _):
        access = await token(rest)
        first, _ = await opened(zoom, access)
        second, built = await opened(zoom, access)
        assert built["success"] is False
        assert await closed(second) == 1008
        await first.send('{"module":"heartbeat"}')
        assert json.loads(await first.recv())["success"] is True
        await first.close()


async def test_a_token_that_is_wrong_expired_or_anothers_gets_no_connection() -> None:
    clock = Clock()
    async with a_zoom(clock=clock) as (zoom, rest, _):
        old, tried = await token(rest), list[str]()
        clock.advance(3601)
        assert zoom.tokens.expired(old)
        for app in (None, None, None, OTHER):
            access = ("nonsense", "", old)[len(tried)] if app is None else await token(rest, app)
            tried.append(access)
            socket, built = await opened(zoom, access)
            assert (built["module"], built["success"]) == ("build_connection", False)
            assert await closed(socket) == 1008


async def test_refusals_as_http_when_the_switch_says_so() -> None:
    async with a_zoom(switches={"event_socket_refusal": "http"}) as (zoom, rest, _):
        with pytest.raises(InvalidStatus) as refused:
            await opened(zoom, "nonsense")
        assert refused.value.response.status_code == 401
        socket, built = await opened(zoom, await token(rest))
        assert built["success"] is True
        await socket.close()


@pytest.mark.parametrize(
    ("raw", "code"), [("not json", 1007), (b"\xff\xfe", 1007), ("[1]", 1007), ('{"module":"dance"}', 1008), ("{}", 1008)]
)
async def test_a_malformed_client_is_closed_and_disturbs_nobody(raw: str | bytes, code: int) -> None:
    async with a_zoom() as (zoom, rest, _):
        meeting = zoom.begin(SHORT, HOOK, speed=1)
        stream = meeting.streams[0]
        client = RawClient({**meeting_payload(stream)})
        await client.join("audio")
        socket, _ = await opened(zoom, await token(rest))
        await socket.send(raw)
        assert await closed(socket) == code
        await meeting.finished()
        await client.over()
        assert client.got["audio"].sha256 == meeting.report().streams[0].sent["audio"]["sha256"]


def meeting_payload(stream: Any) -> dict[str, Any]:
    return {"meeting_uuid": stream.ids.entity_id, "rtms_stream_id": stream.ids.stream_id, "server_urls": stream.server_urls[0]}


async def test_switches_that_change_while_it_runs_reach_deliveries_and_sockets() -> None:
    async with a_zoom() as (zoom, rest, _):
        socket, _ = await opened(zoom, await token(rest))
        zoom.switches = ZoomSwitches(event_socket_content="object", deadline_s=9.0)
        meeting = zoom.begin(SHORT, "")
        assert json.loads(await socket.recv())["content"]["event"] == "meeting.started"
        assert zoom.webhooks.switches.deadline_s == 9.0
        await socket.close()
        await meeting.aclose()


async def test_content_as_an_object_when_the_switch_says_so() -> None:
    async with a_zoom(switches={"event_socket_content": "object"}) as (zoom, rest, _):
        socket, _ = await opened(zoom, await token(rest))
        meeting = zoom.begin(SHORT, "")
        assert json.loads(await socket.recv())["content"]["event"] == "meeting.started"
        await socket.close()
        await meeting.aclose()


@pytest.mark.parametrize(
    ("auth", "grant", "status"),
    [(("client-id", "wrong"), "account_credentials", 401), (None, "x", 401), ((CLIENT_ID, CLIENT_SECRET), "x", 400)],
)
async def test_no_token_without_the_apps_secret_or_a_grant(auth: tuple[str, str] | None, grant: str, status: int) -> None:
    async with a_zoom() as (_, rest, _):
        answer = await rest.post("/oauth/token", params={"grant_type": grant}, auth=auth)  # ty: ignore[invalid-argument-type]
        assert answer.status_code == status
        assert answer.json()["reason"]


def test_what_is_a_request_and_what_a_client_says() -> None:
    assert read_request("/ws") is None
    assert read_request("/rtms/1?subscriptionId=a") is None
    request = read_request("/ws?subscriptionId=a%2Fb&access_token=c")
    assert request is not None
    assert (request.subscription_id, request.access_token) == ("a/b", "c")
    assert read_client_message(b'{"module":"heartbeat","x":1}') == "heartbeat"
    assert read_client_message(b"[" * 100_000) == "unreadable"
