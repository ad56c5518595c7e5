"""What an RTMS receiver wants done (`Open`, `Send`, `Close`) and what it has learnt (the rest), in the order it came about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Open:
    """Open a WebSocket; answer with `opened` or `closed(code=None)`."""

    role: str
    url: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text on the role's socket."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the role's socket. No `closed` is wanted for it."""

    role: str
    code: int = 1000


@dataclass(frozen=True, slots=True)
class Ready:
    """Zoom was told that the client is ready: media will flow. Comes again after each return of signaling."""


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
class Happening:
    """Something about a participant; `what` is a value of HAPPENINGS. `screenshare_off` names nobody on the wire (user_id None)."""

    what: str
    user_id: int | None
    user_name: str | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """The stream was paused or goes on."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A socket that was up went down; it is being brought back."""

    role: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last action. `sub_code` None means the stream ended properly. `joined`: media was flowing at some time."""

    sub_code: str | None
    stop_reason: int | None
    joined: bool


Action = Open | Send | Close | Ready | Packet | Caption | Happening | PauseChanged | Lost | Finished
