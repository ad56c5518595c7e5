"""The states of the RTMS client as tables: of one socket, of the stream as a whole, and how patient it is (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Timings:
    """Patience, in seconds. The windows are Zoom's (fail-over and reconnection); the rest is inferred, as Recall publishes nothing."""

    handshake: float = 10.0  # socket opening, and its handshake, each; Zoom's SDK gives up after 10 s
    media_ready: float = 10.0  # after msg 2: then go on with the media that are up
    silence: float = 65.0  # without any message on a socket, it counts as lost
    suspicion: float = 15.0  # the same, after Zoom reported a lost media connection without saying which
    drain: float = 2.0  # after the stream's end, a media socket without any message for so long is empty
    drain_most: float = 30.0
    restore_signaling: float = 60.0
    restore_media: float = 65.0
    join_waits: tuple[float, ...] = (1.5, 3.0, 6.0)  # before the 2nd, 3rd, 4th try to join
    restore_waits: tuple[float, ...] = (0.5, 3.0, 6.0, 12.0, 24.0, 30.0)  # before each try to come back; the last one repeats


class State(Enum):
    """Of one socket."""

    IDLE = auto()
    OPENING = auto()
    SHAKING = auto()
    UP = auto()
    WAITING = auto()  # down, to be opened again at `retry_at`
    OFF = auto()  # down for good


class Input(Enum):
    """What can happen to one socket."""

    OPEN = auto()
    OPENED = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    FELL = auto()  # closed by the peer, failed to open, timed out or silent
    QUIT = auto()


SOCKET_TRANSITIONS: Mapping[tuple[State, Input], State] = {
    (State.IDLE, Input.OPEN): State.OPENING,
    (State.IDLE, Input.QUIT): State.OFF,
    (State.OPENING, Input.OPENED): State.SHAKING,
    (State.OPENING, Input.FELL): State.WAITING,
    (State.OPENING, Input.QUIT): State.OFF,
    (State.SHAKING, Input.ACCEPTED): State.UP,
    (State.SHAKING, Input.REFUSED): State.OFF,
    (State.SHAKING, Input.FELL): State.WAITING,
    (State.SHAKING, Input.QUIT): State.OFF,
    (State.UP, Input.FELL): State.WAITING,
    (State.UP, Input.QUIT): State.OFF,
    (State.WAITING, Input.OPEN): State.OPENING,
    (State.WAITING, Input.QUIT): State.OFF,
}
CONNECTED = frozenset({State.OPENING, State.SHAKING, State.UP})


class Phase(Enum):
    """Of the stream as a whole."""

    NEW = auto()
    JOINING = auto()  # signaling is being opened, for the first time
    READYING = auto()  # signaling is up, media sockets are being opened
    LIVE = auto()
    RESTORING = auto()  # signaling was lost after it had been up
    DRAINING = auto()  # the stream has ended, its last packets are still to be read
    ENDED = auto()


class Turn(Enum):
    """What moves the stream."""

    START = auto()
    SIGNALING_UP = auto()
    MEDIA_SETTLED = auto()
    SIGNALING_LOST = auto()
    STREAM_OVER = auto()
    END = auto()


PHASE_TRANSITIONS: Mapping[tuple[Phase, Turn], Phase] = {
    (Phase.NEW, Turn.START): Phase.JOINING,
    (Phase.NEW, Turn.END): Phase.ENDED,
    (Phase.JOINING, Turn.SIGNALING_UP): Phase.READYING,
    (Phase.JOINING, Turn.END): Phase.ENDED,
    (Phase.READYING, Turn.MEDIA_SETTLED): Phase.LIVE,
    (Phase.READYING, Turn.SIGNALING_LOST): Phase.RESTORING,
    (Phase.READYING, Turn.STREAM_OVER): Phase.DRAINING,
    (Phase.READYING, Turn.END): Phase.ENDED,
    (Phase.LIVE, Turn.SIGNALING_LOST): Phase.RESTORING,
    (Phase.LIVE, Turn.STREAM_OVER): Phase.DRAINING,
    (Phase.LIVE, Turn.END): Phase.ENDED,
    (Phase.RESTORING, Turn.SIGNALING_UP): Phase.READYING,
    (Phase.RESTORING, Turn.END): Phase.ENDED,
    (Phase.DRAINING, Turn.END): Phase.ENDED,
}


@dataclass(slots=True)
class ClientSocket:
    """One connection and its patience. `kinds` are the media it carries; empty for signaling."""

    role: str
    url: str
    kinds: tuple[str, ...] = ()
    state: State = State.IDLE
    sequence: int = 0
    tries: int = 0  # since it was last up
    give_up_at: float | None = None  # end of the window to come back
    expires_at: float = math.inf  # OPENING and SHAKING
    retry_at: float = math.inf  # WAITING
    heard_at: float = 0.0  # UP
    trouble: str = ""  # sub_code of the last failure
