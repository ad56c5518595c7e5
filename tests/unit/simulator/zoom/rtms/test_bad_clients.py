"""What no proper client sends, over real sockets: its documented status or close, and nothing of it reaches another stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.unit.simulator.zoom.meeting.test_meeting import BRIEF, HOOK, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from rtms_simulator.clock import Clock
from rtms_simulator.zoom.rtms.enums import StreamState


@dataclass(frozen=True)
class Bad:
    """A handshake that differs in `fields` from a proper one, and the status that answers it. `msg_type` 3 is one for media."""

    situation: str
    status: int
    fields: dict[str, Any]
    msg_type: int = 1


BAD = (
    Bad("version as text", 4, {"protocol_version": "1"}),
    Bad("version 2", 4, {"protocol_version": 2}),
    Bad("version as a fraction", 4, {"protocol_version": 1.5}),
    Bad("version null", 4, {"protocol_version": None}),
    Bad("stream id as a number", 2, {"rtms_stream_id": 7}),
    Bad("stream id unknown", 2, {"rtms_stream_id": "f" * 32}),
    Bad("entity as a number", 4, {"meeting_uuid": 7}),
    Bad("signature as a number", 3, {"signature": 7}),
    Bad("signature of another", 3, {"signature": "0" * 64}),
    Bad("message type as text", 4, {"msg_type": "1"}),
    Bad("message type of the server", 1, {"msg_type": 2}),
    Bad("SRT by its passphrase", 4, {"srt_passphrase": "secret"}),
    Bad("SRT by its key length", 4, {"srt_pbkey_length": 16}),
    Bad("SRT by name", 4, {"transport": "SRT"}),
    Bad("SRT for media", 4, {"srt_pbkey_length": 16, "media_type": 1}, 3),
    Bad("media type as text", 7, {"media_type": "1"}, 3),
    Bad("media type nothing", 14, {"media_type": 0}, 3),
    Bad("media type true", 7, {"media_type": True}, 3),
    Bad("media type beyond", 14, {"media_type": 64}, 3),
    Bad("params as text", 17, {"media_type": 1, "media_params": "all"}, 3),
    Bad("rate as text", 20, {"media_type": 1, "media_params": {"audio": {"sample_rate": "1"}}}, 3),
    Bad("channel as text", 21, {"media_type": 1, "media_params": {"audio": {"channel": "1"}}}, 3),
    Bad("frames as text", 30, {"media_type": 2, "media_params": {"video": {"fps": "5"}}}, 3),
    Bad("encryption as text", 4, {"media_type": 1, "payload_encryption": "true"}, 3),
)
RAW: tuple[tuple[str | bytes, int], ...] = (
    ("", 4),
    ("null", 4),
    ("[1]", 4),
    ("{", 4),
    ('{"msg_type": 1e400}', 4),
    (b"\xff\xfe\x00", 4),
    ("[" * 50_000, 4),
)
LATER: tuple[dict[str, Any], ...] = (
    {"msg_type": "7"},
    {"msg_type": 7.5},
    {"msg_type": 5, "events": [{"event_type": "2", "subscribe": "yes"}]},
    {"msg_type": 5, "events": "2"},
    {"msg_type": 10, "rtms_session_id": 7},
    {"msg_type": 13, "timestamp": "now"},
    {"msg_type": 19, "rtms_stream_id": []},
    {"msg_type": 28, "user_id": "16778240", "subscribe": 1},
    {"msg_type": 12},
    {"msg_type": 99},
)


async def beside_another(act: Callable[[RawClient], Any]) -> None:
    """Do it to one meeting's stream in the middle of another meeting, which a proper client hears: that one gets every byte.

    The clock stands still but for what is moved by hand, so that a busy machine changes nothing.
    """
    proper: list[RawClient] = []
    clock = Clock(rate=0)

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        if not proper:
            proper.append(client)
            await client.join("audio", "transcript")
            await client.over()

    async with zoom_for(join, clock=clock) as (zoom, _receiver):
        meeting = zoom.begin(BRIEF, HOOK)
        await until(lambda: meeting.streams[0].live.joined_at is not None, 60)
        other = zoom.begin(replace(BRIEF, duration_s=30.0), HOOK)
        await other.announced()
        clock.advance(0.5)
        stream = other.streams[0]
        payload = {"meeting_uuid": stream.ids.entity_id, "rtms_stream_id": stream.ids.stream_id, "server_urls": stream.server_urls[0]}
        await act(RawClient(payload))
        assert stream.live.protocol.state is not StreamState.TERMINATED
        assert stream.live.problem is None
        clock.advance(0.6)
        report = await asyncio.wait_for(meeting.finished(), 60)
        await other.aclose()
    for kind in ("audio", "transcript"):
        assert proper[0].got[kind].sha256 == report.streams[0].sent[kind]["sha256"]
    assert report.streams[0].sent["audio"]["packets"] == 50
    assert report.streams[0].complaints == 0


async def answered(url: str, raw: str | bytes) -> dict[str, Any]:
    async with connect(url, compression=None) as socket:
        await socket.send(raw)
        return json.loads(await asyncio.wait_for(socket.recv(), 30))


async def test_a_bad_client_gets_its_status_or_close_and_disturbs_nobody() -> None:
    found: dict[str, int] = {}

    async def act(client: RawClient) -> None:
        assert (await client.open())["status_code"] == 0
        for bad in BAD:
            url = client.urls["audio"] if bad.msg_type == 3 else client.payload["server_urls"]
            answer = await answered(url, json.dumps(client.hello(bad.msg_type) | bad.fields))
            found[bad.situation] = answer["status_code"]
            assert answer["reason"]
        await client.aclose()

    await beside_another(act)
    assert found == {bad.situation: bad.status for bad in BAD}


async def test_a_first_message_that_is_none_gets_status_4_and_disturbs_nobody() -> None:
    async def act(client: RawClient) -> None:
        for raw, status in RAW:
            assert (await answered(client.payload["server_urls"], raw))["status_code"] == status, raw[:20]

    await beside_another(act)


async def test_odd_messages_after_the_handshake_change_nothing() -> None:
    async def act(client: RawClient) -> None:
        await client.open()
        await client.open_media("audio")
        for message in LATER:
            await client.say(message)
        await client.say({"msg_type": 19, "rtms_stream_id": client.stream_id})
        await until(lambda: any(message["msg_type"] == 20 for message in client.heard), 30)
        assert client.events() == [] or {event["event_type"] for event in client.events()} == {1}
        await client.aclose()

    await beside_another(act)


async def test_a_frame_that_is_too_long_closes_that_connection_alone() -> None:
    async def act(client: RawClient) -> None:
        await client.open()
        assert client.signaling is not None
        with contextlib.suppress(ConnectionClosed):
            await client.signaling.send("x" * 5_000_000)
        await asyncio.wait_for(client.over(), 30)
        assert client.closes["signaling"] in (1009, 1006)

    await beside_another(act)
