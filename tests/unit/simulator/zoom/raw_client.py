"""A raw WebSocket client of the RTMS protocol, written from the documentation alone (docs/evidence/zoom.md C), for tests.

It knows both documented habits: one socket per kind, or one `all` socket with text frames, several CLIENT_READY_ACKs and keep-alives
answered without a sequence.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN = "client-id", "client-secret", "secret-token"
NUMBERS = {"audio": 1, "video": 2, "deskshare": 4, "transcript": 8, "chat": 16, "all": 32}
KINDS = {14: "audio", 15: "video", 16: "deskshare", 17: "transcript", 18: "chat"}
ENTITY_FIELDS = {
    "meeting": "meeting_uuid",
    "webinar": "webinar_uuid",
    "session": "session_id",
    "contact_center": "engagement_id",
    "phone": "call_id",
}


def signature(entity_id: str, stream_id: str, client_id: str = CLIENT_ID, secret: str = CLIENT_SECRET) -> str:
    return hmac.new(secret.encode(), f"{client_id},{entity_id},{stream_id}".encode(), hashlib.sha256).hexdigest()


@dataclass
class Got:
    """What came of one kind."""

    contents: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(bytes(self.data)).hexdigest()


@dataclass
class RawClient:
    """Joins one stream. `heard` are the messages on the signaling socket, `got` the media by kind."""

    payload: dict[str, Any]
    entity_field: str = "meeting_uuid"
    ssl_context: ssl.SSLContext | None = None
    secret: str = CLIENT_SECRET
    keep_alive_sequence: bool = True
    answers_keep_alives: bool = True
    heard: list[dict[str, Any]] = field(default_factory=list)
    got: dict[str, Got] = field(default_factory=dict)
    closes: dict[str, int | None] = field(default_factory=dict)
    signaling: ClientConnection | None = None
    media: dict[str, ClientConnection] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def stream_id(self) -> str:
        return self.payload["rtms_stream_id"]

    @property
    def entity_id(self) -> str:
        return next(self.payload[name] for name in ENTITY_FIELDS.values() if name in self.payload)

    def hello(self, msg_type: int, **more: Any) -> dict[str, Any]:
        return {
            "msg_type": msg_type,
            "protocol_version": 1,
            "sequence": 2_300_000_000_000,
            self.entity_field: self.entity_id,
            "rtms_stream_id": self.stream_id,
            "signature": signature(self.entity_id, self.stream_id, secret=self.secret),
            **more,
        }

    async def open(self, url: str | None = None, **more: Any) -> dict[str, Any]:
        """The signaling handshake; returns message 2."""
        self.signaling = await connect(url or self.payload["server_urls"], ssl=self.ssl_context, compression=None)
        await self.signaling.send(json.dumps(self.hello(1, **more)))
        answer = json.loads(await self.signaling.recv())
        if answer["status_code"] == 0:
            self.urls = answer["media_server"]["server_urls"]
            self.tasks.append(asyncio.create_task(self._listen("signaling", self.signaling)))
        return answer

    async def open_media(
        self, kind: str, params: dict[str, Any] | None = None, *, number: Any = None, listen: bool = True
    ) -> dict[str, Any]:
        """A media handshake; returns message 4."""
        media = await connect(self.urls[kind], ssl=self.ssl_context, compression=None, max_size=None)
        more = {} if params is None else {"media_params": params}
        await media.send(json.dumps(self.hello(3, media_type=NUMBERS[kind] if number is None else number, **more)))
        answer = json.loads(await media.recv())
        if answer["status_code"] == 0:
            self.media[kind] = media
            if listen:
                self.tasks.append(asyncio.create_task(self._listen(kind, media)))
        return answer

    async def say(self, message: dict[str, Any]) -> None:
        assert self.signaling is not None
        await self.signaling.send(json.dumps(message))

    async def ready(self) -> None:
        await self.say({"msg_type": 7, "rtms_stream_id": self.stream_id})

    async def subscribe(self, *event_types: int) -> None:
        await self.say({"msg_type": 5, "events": [{"event_type": number, "subscribe": True} for number in event_types]})

    async def join(self, *kinds: str, params: dict[str, Any] | None = None) -> None:
        """The whole of it: signaling, one socket per kind, one CLIENT_READY_ACK."""
        assert (await self.open())["status_code"] == 0
        for kind in kinds:
            assert (await self.open_media(kind, params))["status_code"] == 0
        await self.ready()

    async def over(self) -> None:
        """Return when every socket is closed by the other side."""
        await asyncio.gather(*self.tasks)

    async def aclose(self) -> None:
        for socket in (self.signaling, *self.media.values()):
            if socket is not None:
                await socket.close()
        await asyncio.gather(*self.tasks)

    def states(self, msg_type: int) -> list[int]:
        return [message["state"] for message in self.heard if message["msg_type"] == msg_type]

    def events(self) -> list[dict[str, Any]]:
        return [message["event"] for message in self.heard if message["msg_type"] == 6]

    async def _listen(self, name: str, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                message = json.loads(raw)
                if message["msg_type"] == 12:
                    if self.answers_keep_alives:
                        answer = {"msg_type": 13, "timestamp": message["timestamp"]}
                        if self.keep_alive_sequence:
                            answer["sequence"] = message["sequence"]
                        await socket.send(json.dumps(answer))
                    self.heard.append(message)
                elif message["msg_type"] in KINDS:
                    self._take(KINDS[message["msg_type"]], message["content"])
                else:
                    self.heard.append(message)
        except ConnectionClosed:
            pass
        self.closes[name] = socket.close_code

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        got = self.got.setdefault(kind, Got())
        got.contents.append(content)
        if kind in ("transcript", "chat"):
            got.data += content["data"].encode()
        else:
            data = base64.b64decode(content["data"], validate=True)
            assert len(data) == content["length"]
            got.data += data


class Receiver:
    """A webhook in this process: keeps what comes, answers with `status`, and starts whatever `on_start` gives for rtms_started."""

    def __init__(self, on_start: Any = None, status: int = 200) -> None:
        self.on_start = on_start
        self.status = status
        self.requests: list[httpx.Request] = []
        self.started: list[asyncio.Task[Any]] = []
        self.transport = httpx.MockTransport(self._answer)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        event = json.loads(request.content)
        if event["event"].endswith("rtms_started") and self.on_start is not None:
            self.started.append(asyncio.create_task(self.on_start(event["payload"])))
        return httpx.Response(self.status, json={})
