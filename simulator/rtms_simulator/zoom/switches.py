"""Every behaviour of the fake Zoom that its documentation leaves open, and Zoom's numbers, as one switch each with a default.

Evidence labels: "documented" (stated by Zoom), "sample" (in code that Zoom publishes), "seen" (on the wire of Zoom's own client),
"inferred" (by analogy; may be wrong), "unknown" (no evidence found; the default is a guess). docs/zoom-coverage.md lists each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, Literal

from rtms_simulator.zoom.rtms.enums import MediaType, StatusCode, StopReason

ChatMetadata = Literal["data", "content", "both"]
PayloadForm = Literal["2026-05", "2025"]
"""Payloads before and after the release of May 2026, which added account_id, meeting_id and is_original_host."""


def _switch(default: Any, evidence: str, doc: str) -> Any:
    return field(default=default, metadata={"evidence": evidence, "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSwitches:
    """What is open about media, used by `MediaSource`."""

    sd_size: tuple[int, int] = _switch((640, 360), "documented", "size of resolution 1: Zoom says 854x480 or 640x360")
    first_language_s: float = _switch(30.0, "documented", "transcripts are in the asked-for language, else English, this long")
    language_switch_s: float = _switch(10.0, "documented", "a new language must be heard this long; Zoom says 10 to 30 s")
    chat_json: bool = _switch(True, "documented", "chat data is July 2026's JSON object as text; off: the bare text of spring 2026")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomSwitches(MediaSwitches):
    """The open questions, decided. Change one with `dataclasses.replace`. Times in seconds of the clock."""

    # RTMS: times
    connect_window_s: float = _switch(60.0, "documented", "time to open signaling after rtms_started")
    keep_alive_interval_s: float = _switch(10.0, "documented", "time between keep-alive requests on each socket")
    keep_alive_misses: int = _switch(3, "documented", "unanswered keep-alives that are tolerated")
    signaling_reconnect_s: float = _switch(60.0, "documented", "time to come back after signaling broke")
    media_reconnect_s: float = _switch(65.0, "documented", "time to come back after a media socket broke")
    audio_buffer_s: float = _switch(60.0, "documented", "how much of the meeting is buffered for an app that is not there yet")

    # RTMS: signaling
    bad_signature: Literal["status", "close"] = _switch(
        "status", "inferred", "a wrong signature: status 3 (documents), or a close and rtms_stopped with reason 18 (Zoom's forum)"
    )
    refusal_reasons: Literal["words", "names"] = _switch(
        "words", "sample", "`reason` of a refusal: words in lower case, which Zoom's newest clients search, or enumeration names"
    )
    second_signaling: Literal["refuse", "displace"] = _switch(
        "refuse", "documented", "a second signaling connection: status 8 (documents), or it replaces the first (Zoom's plugin page)"
    )
    unsupported_version_status: StatusCode = _switch(
        StatusCode.INVALID_PAYLOAD, "unknown", "status for a protocol_version that is not spoken here (V2 was released in November 2026)"
    )
    unsupported_transport_status: StatusCode = _switch(
        StatusCode.INVALID_PAYLOAD, "unknown", "status for a handshake that asks for SRT or another transport than WebSocket"
    )
    keep_alive_sequence: bool = _switch(True, "seen", "message 12 has `sequence`: not in the documents, but Zoom's client needs it")
    keep_alive_death: Literal["interrupt", "stop"] = _switch(
        "interrupt", "inferred", "three misses on signaling: the stream is interrupted, or ends with reason 24 at once"
    )
    never_joined_reason: StopReason = _switch(StopReason.STOP_BC_CONNECTION_TIMEOUT, "inferred", "stop reason when nobody came")
    not_back_reason: StopReason = _switch(StopReason.STOP_BC_AWAIT_RECONNECTION_TIMEOUT, "inferred", "stop reason when nobody came back")
    roster_on_subscription: bool = _switch(True, "inferred", "an app that subscribes late gets who is there, who speaks and who shares")
    session_events_in_calls: bool = _switch(
        True, "unknown", "events 2 to 4 (speaker, join, leave) exist for Contact Center and Phone as well"
    )
    call_state_on_subscription: bool = _switch(
        True, "documented", "an app that subscribes to CONSUMER_ANSWERED late gets it (documented), and a hold that lasts (inferred)"
    )
    phone_events: Literal["event_code", "event_type", "off"] = _switch(
        "event_code", "inferred", "key of the number in Zoom Phone's call events: Phone has event_code only; off sends none"
    )
    phone_event_codes: Mapping[str, int] = field(
        default_factory=lambda: {"CALL_HOLD": 1001, "CALL_RESUME": 1002, "CALL_TRANSFER": 1003},
        metadata={"evidence": "unknown", "doc": "numbers of Zoom Phone's call events: invented, as Zoom's are not public"},
    )
    close_code: int = _switch(1000, "inferred", "close code at the end of a stream")

    # RTMS: media
    ready_for_each_media: bool = _switch(True, "inferred", "a media socket opened later needs a CLIENT_READY_ACK of its own")
    buffered: MediaType = _switch(
        MediaType.AUDIO | MediaType.TRANSCRIPT | MediaType.CHAT, "inferred", "what is buffered: audio is, video not; text follows the audio"
    )
    individual_video_streams: int = _switch(
        1, "documented", "participants whose video can be had at once, each on a connection of its own: 1 in V1, 4 in the V2 preview"
    )
    chat_metadata: ChatMetadata = _switch(
        "data", "sample", "where sender, session and ids of a chat message are: JSON inside `data`, fields of `content`, or both"
    )

    # Payloads of webhooks
    payload_form: PayloadForm = _switch("2026-05", "documented", "rtms_started with the fields of May 2026, or without")
    several_urls: bool = _switch(False, "inferred", "several server_urls with commas: in the documentation's text, never seen")
    interrupted_urls: bool = _switch(False, "sample", "server_urls in rtms_interrupted: the OpenAPI has none, Zoom's samples read them")
    custom_fields_key: str = _switch("custom_fields", "inferred", "key of the SIP data in contact_center.voice_rtms_started")

    # Delivery of webhooks
    deadline_s: float = _switch(3.0, "documented", "time to answer a webhook")
    retry_after_s: tuple[float, ...] = _switch((300.0, 1200.0, 3600.0), "documented", "pauses before each retry")
    revalidate_s: float = _switch(72 * 3600.0, "documented", "time between URL validations")
    mail_after_failures: tuple[int, ...] = _switch((2, 4), "documented", "failed validations in a row after which a mail is sent")
    disable_after_failures: int = _switch(6, "documented", "failed validations in a row after which nothing is sent any more")
    restamp: bool = _switch(False, "unknown", "a retry has a new timestamp, signature and request id; off is harder for a receiver")
    request_id: bool = _switch(True, "sample", "x-zm-request-id is sent: it is in one of the documentation's samples only")

    # The event WebSocket
    event_socket_silence_s: float = _switch(90.0, "unknown", "a client without a heartbeat for this long is closed; samples: each 30 s")
    event_socket_second: Literal["displace", "refuse"] = _switch(
        "displace", "sample", "a second connection of one subscription: the first is closed, or the second refused"
    )
    event_socket_refusal: Literal["message", "http"] = _switch(
        "message", "sample", "a bad token or subscription: build_connection with success false and a close, or HTTP 401"
    )
    event_socket_content: Literal["text", "object"] = _switch(
        "text", "sample", "`content` of an event: its JSON as text, or the object itself"
    )


DOCUMENTED = ZoomSwitches()


def switch_table() -> list[dict[str, Any]]:
    """Each switch as {name, default, evidence, doc}, in the order of the dataclass."""
    return [{"name": one.name, "default": getattr(DOCUMENTED, one.name), **one.metadata} for one in fields(ZoomSwitches)]


def switch_markdown() -> str:
    """The table of docs/zoom-coverage.md."""
    rows = [f"| `ZoomSwitches.{row['name']}` | `{_shown(row['default'])}` | {row['evidence']} | {row['doc']} |" for row in switch_table()]
    return "\n".join(("| switch | default | evidence | what it is |", "| --- | --- | --- | --- |", *rows))


def _shown(value: Any) -> str:
    if isinstance(value, MediaType):
        return ", ".join((one.name or "").lower() for one in value)
    return str(int(value)) if isinstance(value, IntEnum) else str(value)
