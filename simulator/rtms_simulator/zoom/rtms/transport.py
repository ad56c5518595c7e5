"""Which protocol and transport a handshake asks for, and whether it is spoken here: JSON over WebSocket, protocol version 1. Pure.

RTMS V2 (developers.zoom.us, changelog of 2026-11-15) adds protobuf messages and media over SRT. How a handshake asks for SRT is not public:
every field that names a transport, or begins with `srt`, is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_simulator.zoom.rtms.enums import StatusCode
from rtms_simulator.zoom.rtms.states import PROTOCOL_VERSION
from rtms_simulator.zoom.switches import ZoomSwitches

_TRANSPORT_FIELDS = ("transport", "transport_type", "transmission_protocol", "data_transport", "media_transport")
_WEBSOCKET = (None, 1, "1", "websocket", "ws", "wss", "")


def unsupported(fields: Mapping[str, Any], switches: ZoomSwitches) -> StatusCode | None:
    """The status that refuses a handshake for its protocol version or transport, or None."""
    version = fields.get("protocol_version", PROTOCOL_VERSION)
    if type(version) is not int:
        return StatusCode.INVALID_PAYLOAD
    if version != PROTOCOL_VERSION:
        return switches.unsupported_version_status
    if _wants_srt(fields) or any(_plain(fields.get(name)) not in _WEBSOCKET for name in _TRANSPORT_FIELDS):
        return switches.unsupported_transport_status
    return None


def _wants_srt(fields: Mapping[str, Any]) -> bool:
    return any(name.lower().startswith("srt") and value not in (None, False, "") for name, value in fields.items())


def _plain(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value if isinstance(value, int) or value is None else repr(value)
