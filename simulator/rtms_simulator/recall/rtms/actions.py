"""What the RTMS client wants done (`OpenSocket`, `SendText`, `CloseSocket`) and what it learnt (the rest), in order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open a WebSocket; answer with `opened` or `closed(code=None)`."""

    role: str
    url: str


@dataclass(frozen=True, slots=True)
class SendText:
    """Send this text on the role's socket."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close the role's socket. No `closed` follows."""

    role: str


@dataclass(frozen=True, slots=True)
class StreamReady:
    """Zoom knows that the client is ready: media will flow. Comes again, with `first` False, after each return of signaling."""

    first: bool


@dataclass(frozen=True, slots=True)
class Packet:
    """One audio, video or share packet. `user_id` 0 is the mix of everybody."""

    kind: str
    user_id: int
    user_name: str | None
    data: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Caption:
    """One transcript message; times in ms since the epoch. `attribute`: 0 none, 1 new, 2 update, 3 delete."""

    user_id: int
    user_name: str | None
    text: str
    start_ms: int
    end_ms: int
    language: int | None
    attribute: int


@dataclass(frozen=True, slots=True)
class ParticipantNotice:
    """Something about a participant; `what`: a value of PARTICIPANT_NOTICES. `screenshare_off` names nobody on the wire (user_id None)."""

    what: str
    user_id: int | None
    user_name: str | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """The stream was paused or goes on."""

    paused: bool


@dataclass(frozen=True, slots=True)
class SocketLost:
    """A socket that was up went down; it is being brought back."""

    role: str


@dataclass(frozen=True, slots=True)
class StreamFinished:
    """The last action. `sub_code` None means the stream ended properly. `joined`: media was flowing at some time."""

    sub_code: str | None
    stop_reason: int | None
    joined: bool


Action = (
    OpenSocket | SendText | CloseSocket | StreamReady | Packet | Caption | ParticipantNotice | PauseChanged | SocketLost | StreamFinished
)
