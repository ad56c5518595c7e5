"""What a stream can be in, what moves it, what comes out of it: the tables and values that `protocol` works with (docs/evidence/zoom.md C).

Pure data. The diagram in docs/zoom-coverage.md and the tests' coverage of the state machine are made from `TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from rtms_simulator.zoom.rtms.enums import SINGLE_MEDIA_TYPES, MediaType, StatusCode, StreamState

PROTOCOL_VERSION = 1
EVERY_KIND = MediaType(sum(SINGLE_MEDIA_TYPES))


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
    """Begin to send media of `kinds` on that connection. What is buffered goes back to `buffered_from` (seconds of the clock) at most.

    `user_id`: whose individual video it is, if the connection carries that and somebody is subscribed to.
    """

    conn: int
    kinds: MediaType
    params: Mapping[str, Mapping[str, Any]]
    buffered_from: float
    user_id: int | None = None


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
    """The app now wants these events; the present state can be sent."""

    event_types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SelectVideo:
    """Send individual video of this participant on that connection from now on, in place of the former one's; None sends nobody's."""

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
