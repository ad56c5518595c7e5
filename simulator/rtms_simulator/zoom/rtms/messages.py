"""Media packets as RTMS messages 14 to 18, encoded by hand because they are nearly all of the traffic (RTMS "Universal events", C.3).

Pure. Nothing in a packet but its timestamp depends on when a meeting takes place, so the parts around it are made once per packet.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any

import msgspec

from rtms_simulator.zoom.media import MediaPacket
from rtms_simulator.zoom.rtms.enums import DATA_MESSAGES, MediaType
from rtms_simulator.zoom.switches import ChatMetadata

_HEADS = {int(kind): b'{"msg_type":%d,"content":{' % int(message) for kind, message in DATA_MESSAGES.items()}
_CHAT, _TEXTS = int(MediaType.CHAT), (int(MediaType.TRANSCRIPT), int(MediaType.CHAT))


def media_message(packet: MediaPacket, epoch_ms: int, chat_metadata: ChatMetadata = "data") -> bytes:
    """The JSON of one packet of a meeting that began at `epoch_ms`. Audio and pictures are base64 with `length` the bytes before it.

    `chat_metadata`: `ZoomSwitches.chat_metadata`.
    """
    kind = int(packet.media_type)
    head = _HEADS[kind] + _sender(packet)
    if kind not in _TEXTS:
        data = b2a_base64(packet.data, newline=False)
        return b'%s"data":"%s","length":%d,"timestamp":%d}}' % (head, data, len(packet.data), epoch_ms + packet.at_ms)
    if kind == _CHAT:
        return b'%s%s"timestamp":%d}}' % (head, _chat(packet.data.decode(), chat_metadata), epoch_ms + packet.at_ms)
    data = _json(packet.data.decode())
    extra = packet.extra
    start, end = epoch_ms + extra["start_time"], epoch_ms + extra["end_time"]
    return b'%s"start_time":%d,"end_time":%d,"timestamp":%d,"language":%d,"attribute":%d,"data":%s}}' % (
        head,
        start,
        end,
        start,
        extra["language"],
        extra["attribute"],
        data,
    )


def _chat(text: str, metadata: ChatMetadata) -> bytes:
    """The fields of a chat message: its JSON as text in `data`, its own fields in `content`, or both. A bare text has only `data`."""
    fields = _object(text)
    if metadata == "data" or fields is None:
        return b'"data":%s,' % _json(text)
    data = _json(text) if metadata == "both" else _json(fields.get("data", ""))
    own = b"".join(b'"%s":%s,' % (name.encode(), _json(value)) for name, value in fields.items() if name != "data")
    return own + b'"data":%s,' % data


def _object(text: str) -> dict[str, Any] | None:
    try:
        fields = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _sender(packet: MediaPacket) -> bytes:
    """Mixed audio has user_id 0 and no name. A contact center's party has a channel_id as well."""
    parts = b'"user_id":%d,' % packet.user_id
    if packet.user_name is not None:
        parts += b'"user_name":%s,' % _json(packet.user_name)
    channel_id = packet.extra.get("channel_id")
    if channel_id is not None:
        parts += b'"channel_id":%s,' % _json(channel_id)
    return parts
