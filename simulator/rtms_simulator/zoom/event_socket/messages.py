"""The messages of Zoom's event WebSocket, without I/O (developers.zoom.us, "Using WebSockets", and the programs that Zoom publishes).

The documentation says that events are delivered while the connection is open and never afterwards. The form of the messages is known from
Zoom's samples and from public clients only: `{"module": ..., ...}`, a heartbeat from the client that is answered, `content` as JSON text.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from rtms_simulator.zoom.webhooks.events import WebhookEvent, body

PATH = "/ws"
ClientMessage = Literal["heartbeat", "unreadable", "unknown"]


class SocketRequest(msgspec.Struct, frozen=True):
    """What an upgrade asks for: `wss://.../ws?subscriptionId=ID&access_token=TOKEN`."""

    subscription_id: str
    access_token: str


def read_request(path: str) -> SocketRequest | None:
    """The request in a path, None if it is not one for the event WebSocket. A missing token is an empty one."""
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    if parts.path.rstrip("/") != PATH or "subscriptionId" not in query:
        return None
    return SocketRequest(query["subscriptionId"][0], query.get("access_token", [""])[0])


def read_client_message(raw: bytes) -> ClientMessage:
    """What a client sent: a heartbeat, something with another module, or something that is no JSON object."""
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "unreadable"
    if not isinstance(message, dict):
        return "unreadable"
    return "heartbeat" if message.get("module") == "heartbeat" else "unknown"


def connection_built(*, success: bool, content: str) -> bytes:
    """The first message of the server."""
    return msgspec.json.encode({"module": "build_connection", "success": success, "content": content})


def heartbeat_answer() -> bytes:
    return msgspec.json.encode({"module": "heartbeat", "success": True, "content": ""})


def event_message(event: WebhookEvent, form: Literal["text", "object"]) -> bytes:
    """One event, the same JSON as in a webhook's body."""
    text = body(event)
    content: Any = text.decode() if form == "text" else msgspec.Raw(text)
    return msgspec.json.encode({"module": "message", "content": content})
