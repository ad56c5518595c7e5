"""What a media source gives: one packet of one kind, before the protocol wraps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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


@dataclass(frozen=True, slots=True)
class MediaSwitches:
    """What Zoom's documentation leaves open about media. Each default is this kit's guess or the lower end of what Zoom says.

    `sd_size`: resolution 1 is documented as 854x480 or 640x360. `first_language_s`: transcripts are in the asked-for language (else
    English) this long, then follow the speaker. `language_switch_s`: a new language must be heard this long (Zoom says 10 to 30 s).
    `chat_json`: July 2026's JSON object as text; off gives the bare text of the spring 2026 documentation.
    """

    sd_size: tuple[int, int] = (640, 360)
    first_language_s: float = 30.0
    language_switch_s: float = 10.0
    chat_json: bool = True
