"""What a media source gives: one packet of one kind, before the protocol wraps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rtms_simulator.zoom.switches import MediaSwitches

__all__ = ["NO_EXTRA", "MediaPacket", "MediaSwitches"]

NO_EXTRA: Mapping[str, Any] = {}


class MediaPacket(NamedTuple):
    """One packet. `at_ms` is when it is sent, counted from the start of the meeting.

    For audio and video that is also the moment of its first sample or its picture. A transcript is sent when the sentence is over,
    so its own times are in `extra`: `start_time`, `end_time` (ms offsets; Zoom's timestamp is the beginning), `language`, `attribute`.
    `data` is raw, before base64; transcript and chat are UTF-8. `user_name` is None and `user_id` 0 for mixed audio.
    """

    at_ms: int
    media_type: int
    user_id: int
    user_name: str | None
    data: bytes
    duration_ms: int
    extra: Mapping[str, Any] = NO_EXTRA
