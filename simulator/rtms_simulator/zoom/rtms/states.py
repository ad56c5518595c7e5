"""What a stream can be in, what moves it, what comes out of it: the tables and values that `protocol` works with (reference C).

Pure data. The diagram in docs/zoom-coverage.md and the tests' coverage of the state machine are made from `TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from rtms_simulator.zoom.rtms.enums import SINGLE_MEDIA_TYPES, MediaType, MessageType, StatusCode, StopReason, StreamState

PROTOCOL_VERSION = 1
EVERY_KIND = MediaType(sum(SINGLE_MEDIA_TYPES))


@dataclass(frozen=True, slots=True)
class RtmsSwitches:
    """Zoom's numbers, and a default for everything its documentation leaves open (marked [?]). Times in seconds of the clock."""

    connect_window_s: float = 60.0
    keep_alive_interval_s: float = 10.0
    keep_alive_misses: int = 3
    signaling_reconnect_s: float = 60.0
    media_reconnect_s: float = 65.0
    audio_buffer_s: float = 60.0
    bad_signature: Literal["status", "close"] = "status"
    """[?] The documentation answers status 3; Zoom's forum saw a close with 1000 and then rtms_stopped with reason 18."""
    keep_alive_sequence: bool = True
    """[?] The documentation omits `sequence` in message 12; Zoom's own client answers only if it is there."""
    ready_for_each_media: bool = True
    """[?] Media flows on the sockets that were open when CLIENT_READY_ACK came; a later socket needs another one."""
    keep_alive_death: Literal["interrupt", "stop"] = "interrupt"
    """[?] Three misses on signaling interrupt the stream (60 s to come back), or end it at once."""
    never_joined_reason: StopReason = StopReason.STOP_BC_CONNECTION_TIMEOUT
    """[?] Nobody opened signaling within the window."""
    not_back_reason: StopReason = StopReason.STOP_BC_AWAIT_RECONNECTION_TIMEOUT
    """[?] Nobody reconnected in time."""
    buffered: MediaType = MediaType.AUDIO | MediaType.TRANSCRIPT | MediaType.CHAT
    """[?] Audio is documented to be buffered until the app joins, video not; nothing is said of text, which follows the audio here."""
    roster_on_subscription: bool = True
    """[?] Whether an app that subscribes late is told who is there and who speaks. Zoom's documentation is silent."""
    close_code: int = 1000
    """[?] The close code at the end of a stream."""


DOCUMENTED = RtmsSwitches()


class StreamTrigger(Enum):
    """What moves a stream from state to state."""

    READY = "the app sent CLIENT_READY_ACK"
    SIGNALING_LOST = "the signaling socket broke"
    FAIL_OVER = "the RTMS server died and another took over"
    PAUSE = "the stream was paused"
    RESUME = "the stream was resumed"
    STOP = "somebody or something ended the stream"
    CLOSED = "the sockets were closed"


_S, _T = StreamState, StreamTrigger
_ANYWHERE = {_T.SIGNALING_LOST: _S.INTERRUPTED, _T.FAIL_OVER: _S.INTERRUPTED, _T.STOP: _S.TERMINATING}

TRANSITIONS: Mapping[StreamState, Mapping[StreamTrigger, StreamState]] = {
    _S.INACTIVE: {**_ANYWHERE, _T.READY: _S.ACTIVE},
    _S.ACTIVE: {**_ANYWHERE, _T.READY: _S.ACTIVE, _T.PAUSE: _S.PAUSED},
    _S.INTERRUPTED: {**_ANYWHERE, _T.READY: _S.ACTIVE},
    _S.PAUSED: {**_ANYWHERE, _T.READY: _S.PAUSED, _T.RESUME: _S.RESUMED},
    _S.RESUMED: {**_ANYWHERE, _T.READY: _S.RESUMED, _T.PAUSE: _S.PAUSED},
    _S.TERMINATING: {_T.CLOSED: _S.TERMINATED},
    _S.TERMINATED: {},
}
"""A trigger that a state does not name is ignored there."""

FLOWING = (StreamState.ACTIVE, StreamState.RESUMED)


class SocketRole(Enum):
    SIGNALING = "signaling"
    MEDIA = "media"


_ENTRY = {SocketRole.SIGNALING: MessageType.SIGNALING_HAND_SHAKE_RESP, SocketRole.MEDIA: MessageType.DATA_HAND_SHAKE_RESP}


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send this message on that connection."""

    conn: int
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close that connection with a close frame; `code` None breaks it without one, as a dying server does."""

    conn: int
    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Begin to send media of `kinds` on that connection. What is buffered goes back to `buffered_from` (seconds of the clock)."""

    conn: int
    kinds: MediaType
    params: Mapping[str, Mapping[str, Any]]
    buffered_from: float


@dataclass(frozen=True, slots=True)
class SendWebhook:
    """Tell the app over its webhook: started (fail-over), interrupted or stopped. `fields` go into the payload."""

    what: Literal["started", "interrupted", "stopped"]
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProtocolViolation:
    """The client sent something for which Zoom documents no answer."""

    conn: int
    status: StatusCode
    about: str


@dataclass(frozen=True, slots=True)
class EventsSubscribed:
    """The app now wants these events; what is true at this moment can be told."""

    event_types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SelectVideo:
    """Send individual video of this participant on that connection from now on, instead of whoever it was; None sends nobody's."""

    conn: int
    user_id: int | None


ProtocolEffect = SendMessage | CloseConnection | StartMedia | SendWebhook | ProtocolViolation | EventsSubscribed | SelectVideo


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Whose stream this is. `entity_id` is the meeting_uuid, webinar_uuid, session_id, engagement_id or call_id."""

    stream_id: str
    entity_id: str
    client_id: str
    client_secret: str = field(repr=False)
    kinds: MediaType = EVERY_KIND
    """The media the app's scopes allow."""


def refusal(role: SocketRole, status: StatusCode) -> dict[str, Any]:
    """Message 2 or 4 that says no."""
    return {
        "msg_type": int(_ENTRY[role]),
        "protocol_version": PROTOCOL_VERSION,
        "sequence": 1,
        "status_code": int(status),
        "reason": status.name,
    }
