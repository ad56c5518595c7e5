"""The messages of the RTMS client: the texts it sends, and what the messages of Zoom say (pure). Source: Zoom's RTMS reference pages.

Nothing here raises, whatever a message holds: what cannot be read is named, and the client counts it.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.recall.rtms.actions import Caption, Packet, ParticipantNotice
from rtms_simulator.recall.rtms.codes import (
    ALL,
    ALL_FLAG,
    CAPTION_ATTRIBUTES,
    FIRST_PACKET_TIMESTAMP,
    KINDS,
    LATEST_MS,
    LISTED_NOTICES,
    LONGEST_UTTERANCE_MS,
    PARTICIPANT_NOTICES,
    SIGNALING,
    WireMessage,
)

MALFORMED = "malformed"
UNEXPECTED = "unexpected"
WRONG_LENGTH = "wrong_length"
LARGEST_INTEGER = 2**63
EARLIEST_MS = 10**11  # March 1973: a smaller "moment" is an offset


def text(message: Mapping[str, Any]) -> str:
    """A message as it goes over the wire."""
    return msgspec.json.encode(message).decode()


def handshake(
    request: StreamRequest, role: str, kinds: tuple[str, ...], media: Mapping[str, Mapping[str, int | bool]], sequence: int
) -> dict[str, Any]:
    """The first message on a socket: for signaling, or for the media `kinds` with the parameters asked for."""
    common: dict[str, Any] = {
        "protocol_version": 1,
        "sequence": sequence,
        "meeting_uuid": request.meeting_uuid,
        "rtms_stream_id": request.rtms_stream_id,
        "signature": request.signature,
    }
    if role == SIGNALING:
        return {"msg_type": WireMessage.SIGNALING_HANDSHAKE_REQUEST, **common}
    return {
        "msg_type": WireMessage.MEDIA_HANDSHAKE_REQUEST,
        **common,
        "media_type": ALL_FLAG if role == ALL else KINDS[role][0],
        "payload_encryption": False,
        "media_params": {kind: media[kind] for kind in kinds},
    }


def client_ready(stream_id: str) -> dict[str, Any]:
    return {"msg_type": WireMessage.CLIENT_READY_ACK, "rtms_stream_id": stream_id}


def subscription() -> dict[str, Any]:
    """Asks for every event about participants that a recording keeps."""
    events = [{"event_type": kind, "subscribe": True} for kind in PARTICIPANT_NOTICES]
    return {"msg_type": WireMessage.EVENT_SUBSCRIPTION, "events": events}


def keep_alive_answer(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to a keep-alive request; None if it has no timestamp to answer with."""
    timestamp, sequence = integer(message.get("timestamp")), integer(message.get("sequence"))
    if timestamp is None or not 0 <= timestamp < LARGEST_INTEGER:
        return None
    answer: dict[str, Any] = {"msg_type": WireMessage.KEEP_ALIVE_RESPONSE, "timestamp": timestamp}
    if sequence is not None and 0 <= sequence < LARGEST_INTEGER:
        answer["sequence"] = sequence
    return answer


def offered_urls(message: Mapping[str, Any]) -> dict[str, str]:
    """`media_server.server_urls` of the signaling answer, by role; what is no URL is left out."""
    server = message.get("media_server")
    urls = server.get("server_urls") if isinstance(server, dict) else None
    return {role: url for role, url in urls.items() if isinstance(url, str) and url} if isinstance(urls, dict) else {}


def other_audio(message: Mapping[str, Any], requested: Mapping[str, int | bool]) -> bool:
    """Whether a media answer confirms other samples than those requested: they cannot be written as what was promised."""
    params = message.get("media_params")
    confirmed = params.get("audio") if isinstance(params, dict) else None
    if not isinstance(confirmed, dict):
        return False
    return any(confirmed.get(key, requested[key]) != requested[key] for key in ("codec", "sample_rate", "channel") if key in requested)


@dataclass(slots=True)
class ContentReader:
    """Reads media and events. Remembers the numbers it gave to contact-center parties, who have a channel_id and no user_id."""

    kinds: frozenset[str]
    _channels: dict[str, int] = field(default_factory=dict, init=False)

    def media(self, kind: str, message: Mapping[str, Any]) -> tuple[Packet | Caption | None, str | None]:
        """What a media message carries, and what is wrong with it."""
        content = message.get("content")
        if not isinstance(content, dict):
            return None, MALFORMED
        who, timestamp, data = self._who(content), timestamp_ms(content.get("timestamp")), content.get("data")
        if who is None or timestamp is None or not isinstance(data, str):
            return None, MALFORMED
        if kind not in self.kinds:
            return None, UNEXPECTED
        if kind == "transcript":
            start, end = span_ms(content, timestamp)
            attribute = integer(content.get("attribute"))
            attribute = attribute if attribute in CAPTION_ATTRIBUTES else 0
            return Caption(*who, data, start, end, integer(content.get("language")), attribute or 0), None
        try:
            payload = binascii.a2b_base64(data, strict_mode=True)
        except (ValueError, binascii.Error):
            return None, MALFORMED
        return Packet(kind, *who, payload, timestamp), WRONG_LENGTH if content.get("length", len(payload)) != len(payload) else None

    def notices(self, event: Mapping[str, Any]) -> Iterator[ParticipantNotice | str]:
        """What an event says about each participant it names, or what is wrong with it."""
        kind, timestamp = integer(event.get("event_type")), timestamp_ms(event.get("timestamp"))
        if kind == FIRST_PACKET_TIMESTAMP:
            return
        what = PARTICIPANT_NOTICES.get(kind) if kind is not None else None
        people = event.get("participants") if kind in LISTED_NOTICES else [event]
        # Contact-center steps share the numbers 8 and 9 but carry no list of participants.
        if what is None or timestamp is None or not isinstance(people, list):
            yield UNEXPECTED
            return
        for person in people:
            who = self._who(person) if isinstance(person, dict) else None
            if who is not None:
                yield ParticipantNotice(what, *who, timestamp)
            elif what == "screenshare_off":
                yield ParticipantNotice(what, None, None, timestamp)
            else:
                yield MALFORMED

    def _who(self, content: Mapping[str, Any]) -> tuple[int, str | None] | None:
        """Id and name of a participant. Inferred: contact-center parties are numbered in the order they come."""
        name = content.get("user_name")
        name = name if isinstance(name, str) and name else None
        channel = content.get("channel_id")
        if "user_id" not in content and isinstance(channel, str) and channel:
            return self._channels.setdefault(channel, len(self._channels) + 1), name or channel
        user = _user_id(content.get("user_id"))
        return None if user is None else (user, name)


def _user_id(value: object) -> int | None:
    """A participant's number, also as text: the docs' example of PARTICIPANT_JOIN has a string."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    number = integer(value)
    return number if number is not None and 0 <= number < LARGEST_INTEGER else None


def integer(value: object) -> int | None:
    """The value if it is an integer; JSON's true and 1.0 are not."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def timestamp_ms(value: object) -> int | None:
    """Milliseconds since the epoch, if it can be one."""
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    moment = integer(value)
    return moment if moment is not None and 0 < moment < LATEST_MS else None


def span_ms(content: Mapping[str, Any], timestamp: int) -> tuple[int, int]:
    """Start and end of an utterance in ms since the epoch. `start_time` and `end_time` are read as that; smaller numbers as
    offsets that only tell how long it took (inferred: their unit is undocumented); without them it took no time.
    """
    start, end = integer(content.get("start_time")), integer(content.get("end_time"))
    if start is None or end is None or not 0 <= start <= end < LATEST_MS or end - start > LONGEST_UTTERANCE_MS:
        return timestamp, timestamp
    if start < EARLIEST_MS:
        return timestamp, timestamp + end - start
    return start, end
