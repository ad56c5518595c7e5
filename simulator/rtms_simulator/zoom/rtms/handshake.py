"""The first message of every RTMS socket: reading it, and the signature in it (Zoom "work with streams", RTMS "Universal events").

Pure. A client's message is arbitrary bytes; whatever is wrong with it becomes a status code, never an exception that escapes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rtms_simulator.errors import UnreadableMessageError
from rtms_simulator.zoom.rtms.enums import MessageType, StatusCode

# The product's own id. The documentation and the SDK always say meeting_uuid; Zoom's samples of 2026 say the product's name.
ENTITY_FIELDS = ("meeting_uuid", "webinar_uuid", "session_id", "engagement_id", "call_id")
MAX_MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """A handshake request: message 1 (signaling) or 3 (media). `fields` is the whole message."""

    kind: MessageType
    stream_id: str
    entity_id: str
    signature: str
    fields: Mapping[str, Any]


def sign(client_id: str, client_secret: str, entity_id: str, stream_id: str) -> str:
    """64 lower-case hex digits: HMAC-SHA256 of `client_id,entity_id,stream_id` under the client secret. Both kinds of socket send it."""
    return hmac.new(client_secret.encode(), f"{client_id},{entity_id},{stream_id}".encode(), hashlib.sha256).hexdigest()


def read_message(raw: bytes | str) -> dict[str, Any]:
    """One message as a dict whose `msg_type` is an int. Raises UnreadableMessageError."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise UnreadableMessageError(f"{len(raw)} bytes, at most {MAX_MESSAGE_BYTES} are read")
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessageError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise UnreadableMessageError(f"a JSON {type(message).__name__}, an object was expected")
    if type(message.get("msg_type")) is not int:
        raise UnreadableMessageError("msg_type is not an integer")
    return message


def read_hello(message: Mapping[str, Any]) -> HandshakeRequest | StatusCode:
    """The handshake in `message`, or the status that refuses it. Any sequence is taken: Zoom's own client sends a millisecond tick."""
    kind = message["msg_type"]
    if kind not in (MessageType.SIGNALING_HAND_SHAKE_REQ, MessageType.DATA_HAND_SHAKE_REQ):
        return StatusCode.INVALID_MESSAGE_TYPE
    stream_id = message.get("rtms_stream_id")
    if not isinstance(stream_id, str) or not stream_id:
        return StatusCode.INVALID_RTMS_STREAM_ID
    entity_id = next((message[name] for name in ENTITY_FIELDS if name in message), None)
    if not isinstance(entity_id, str) or not entity_id:
        return StatusCode.INVALID_PAYLOAD
    signature = message.get("signature")
    if not isinstance(signature, str):
        return StatusCode.INVALID_SIGNATURE
    return HandshakeRequest(MessageType(kind), stream_id, entity_id, signature, message)


def matches(hello: HandshakeRequest, expected: str) -> bool:
    """Whether the signature is the expected one, in constant time."""
    return hmac.compare_digest(hello.signature.encode("utf-8", "surrogatepass"), expected.encode())
