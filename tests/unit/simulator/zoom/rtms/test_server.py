"""The sockets themselves: what a client that misbehaves may do, and what it cannot (issue 3, "Bad input")."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, RawClient, Receiver
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Person, Scenario
from rtms_simulator.zoom import Zoom, ZoomApp
from rtms_simulator.zoom.rtms.server import ConnectionLimits, MessageRate

LONG = Scenario("long", (Person(1, "Ada"),), (), 600.0)


@asynccontextmanager
async def open_stream(**options: Any) -> AsyncGenerator[tuple[Zoom, dict[str, Any]]]:
    """A Zoom with one stream that waits for somebody, and its rtms_started payload."""
    receiver = Receiver()
    zoom = Zoom(Clock(), ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN), transport=receiver.transport, **options)
    await zoom.start()
    try:
        meeting = zoom.begin(LONG, "http://receiver.test/")
        await meeting.announced()
        yield zoom, receiver.events[0]["payload"]
    finally:
        await zoom.aclose()


async def answer(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(5):
        await socket.wait_closed()
    return socket.close_code


@pytest.mark.parametrize(
    ("first", "msg_type", "status"),
    [
        ("", 2, 4),
        ("[]", 2, 4),
        ("{", 2, 4),
        (b"\xff\xfe", 2, 4),
        ('{"msg_type":"1"}', 2, 4),
        ('{"msg_type":13}', 2, 1),
        ('{"msg_type":1}', 2, 2),
        ('{"msg_type":3}', 4, 2),
        ('{"msg_type":1,"rtms_stream_id":"unknown","meeting_uuid":"m","signature":"s"}', 2, 2),
    ],
)
async def test_a_first_message_that_cannot_be_gets_a_status(first: str | bytes, msg_type: int, status: int) -> None:
    async with open_stream() as (_, payload), connect(payload["server_urls"]) as socket:
        await socket.send(first)
        found = await answer(socket)
        assert (found["msg_type"], found["status_code"]) == (msg_type, status)
        assert found["reason"]


async def test_on_a_media_path_the_answer_is_message_4() -> None:
    async with open_stream() as (_, payload), connect(payload["server_urls"] + "/audio") as socket:
        await socket.send("junk")
        assert (await answer(socket))["msg_type"] == 4


async def test_after_a_refusal_the_same_connection_may_try_again() -> None:
    async with open_stream() as (_, payload), connect(payload["server_urls"]) as socket:
        await socket.send(json.dumps(RawClient(payload, secret="wrong").hello(1)))
        assert (await answer(socket))["status_code"] == 3
        await socket.send(json.dumps(RawClient(payload).hello(1)))
        assert (await answer(socket))["status_code"] == 0


@pytest.mark.parametrize("path", ["", "/", "/anything/at/all?x=1", "/rtms/unknown"])
async def test_any_path_is_served(path: str) -> None:
    async with open_stream() as (zoom, payload):
        client = RawClient(payload)
        assert (await client.open(zoom.server_urls()[0] + path))["status_code"] == 0
        await client.aclose()


@pytest.mark.parametrize("kind", ["text", "binary", "fragments"])
async def test_text_binary_and_fragmented_frames(kind: str) -> None:
    async with open_stream() as (_, payload), connect(payload["server_urls"]) as socket:
        text = json.dumps(RawClient(payload).hello(1))
        if kind == "fragments":
            await socket.send([text[:10], text[10:50], text[50:]])
        else:
            await socket.send(text if kind == "text" else text.encode())
        assert (await answer(socket))["status_code"] == 0


async def test_the_subprotocol_is_echoed_when_offered_and_never_demanded() -> None:
    async with open_stream() as (_, payload):
        async with connect(payload["server_urls"], subprotocols=["websocket"]) as socket:  # ty: ignore[invalid-argument-type]
            assert socket.subprotocol == "websocket"
        async with connect(payload["server_urls"], subprotocols=["other"]) as socket:  # ty: ignore[invalid-argument-type]
            assert socket.subprotocol is None


async def test_a_half_open_connection_is_closed() -> None:
    async with open_stream(limits=ConnectionLimits(half_open_s=0.1)) as (zoom, payload):
        async with connect(payload["server_urls"]) as socket:
            assert await close_code(socket) == 1008
        host, port = zoom.server_urls()[0].removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(5):
            assert await reader.read() == b""  # not even an upgrade came
        writer.close()


async def test_a_message_that_is_too_large_is_1009() -> None:
    async with open_stream() as (_, payload), connect(payload["server_urls"]) as socket:
        await socket.send("x" * 65_537)
        assert await close_code(socket) == 1009


async def test_a_flood_is_1008_and_another_stream_never_notices() -> None:
    async with open_stream(limits=ConnectionLimits(max_messages_per_s=50, close_s=0.2)) as (zoom, payload):
        quiet = RawClient(payload)
        await quiet.join("audio")
        async with connect(zoom.server_urls()[0]) as socket:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(20_000):
                    await socket.send("{}")
                while True:
                    await socket.recv()
            assert await close_code(socket) == 1008
        assert quiet.closes == {}
        assert zoom.open_connections == 2
        await quiet.aclose()


async def test_requests_that_are_no_websocket() -> None:
    async with open_stream() as (zoom, _):
        host, port = zoom.server_urls()[0].removeprefix("ws://").split(":")
        for request in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x00\x01\x02\r\n\r\n",
            b"x" * 100_000,
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            async with asyncio.timeout(5):
                first = await reader.readline()
            assert first == b"" or first.split()[1].startswith(b"4")
            writer.close()
        async with asyncio.timeout(5):
            while zoom.open_connections:
                await zoom.clock.sleep(0.01)


async def test_a_connection_that_breaks_in_the_middle_of_a_frame() -> None:
    async with open_stream() as (zoom, payload):
        socket = await connect(payload["server_urls"])
        socket.transport.write(b"\x81\xfe\x00\x80abc")
        socket.transport.abort()
        async with asyncio.timeout(5):
            while zoom.open_connections:
                await zoom.clock.sleep(0.01)


async def test_the_faults_of_a_handshake() -> None:
    async with open_stream() as (zoom, payload):
        zoom.faults.add("zoom.rtms.*: 502")
        with pytest.raises(InvalidStatus) as refused:
            await connect(payload["server_urls"])
        assert refused.value.response.status_code == 502
        zoom.faults.add("zoom.rtms.*: cut code=1000")
        async with connect(payload["server_urls"]) as socket:
            await socket.send(json.dumps(RawClient(payload).hello(1)))
            assert await close_code(socket) == 1000
        zoom.faults.add("zoom.rtms.*: refuse 45")
        assert (await RawClient(payload).open())["status_code"] == 45


async def test_a_port_that_is_taken_says_so() -> None:
    async with open_stream() as (zoom, _):
        port = int(zoom.server_urls()[0].rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            await Zoom(Clock(), ZoomApp("c", "s", "t"), port=port).start()


async def test_reset_breaks_everything_off_and_forgets_it() -> None:
    async with open_stream() as (zoom, payload):
        client = RawClient(payload)
        await client.join("audio")
        await zoom.reset()
        await client.over()
        assert client.closes == {"signaling": 1006, "audio": 1006}
        assert not zoom.meetings
        assert not zoom.webhooks.deliveries
        again = RawClient(payload)
        assert (await again.open(zoom.server_urls()[0]))["status_code"] == 2


def test_a_flood_is_a_rate_and_not_a_number() -> None:
    slow = MessageRate(50)
    assert all(slow.allows(second / 40) for second in range(100_000))
    fast = MessageRate(50)
    allowed = [fast.allows(0.001 * number) for number in range(3_000)]
    assert not all(allowed)
    assert 200 <= sum(allowed) <= 300  # two seconds' worth at once, then 50 a second
    assert fast.allows(60.0)


async def test_a_flood_of_pings_is_one_too() -> None:
    limits = ConnectionLimits(max_messages_per_s=50, close_s=0.2)
    async with open_stream(limits=limits) as (_, payload), connect(payload["server_urls"], compression=None, ping_interval=None) as socket:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(10_000):
                await socket.ping()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code in (1006, 1008)
