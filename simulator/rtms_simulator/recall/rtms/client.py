"""A client of Zoom's RTMS protocol without any I/O: values in, actions out.

Written from Zoom's RTMS documentation (reference zoom-rtms.md B.2, C, D) as an independent reading of the wire; it shares
nothing with the simulator's Zoom, so that one misreading cannot hide in both.

The owner calls `start`, `opened`, `message`, `closed`, `tick` and `leave` with the present time in seconds; each returns the
actions to carry out, in order: sockets to open and close, texts to send, and what was learnt. `tick` wants to be called at
`deadline`. No input raises, whatever Zoom sends: what cannot be understood is counted in `counts`.

Rules, from which the two tables below follow:

* One signaling socket; after it was accepted one media socket per wanted kind that `server_urls` offers, or one for all of
  them where only `all` is offered. CLIENT_READY_ACK and the event subscription once every media socket is up or given up.
* A lost media socket has 65 s to come back and a lost signaling socket 60 s, both from the moment of the loss; with signaling
  all media start anew. There is no fail-over to other servers: Zoom announces those by webhook, and that is a new create.
* A refused handshake is final for its socket, except where the refusal says that an older connection still lives.
* The stream ends by its TERMINATED state, by an orderly close of signaling, or when nothing is left to wait for. What the media
  sockets still carry at that moment is taken in first: they are read until Zoom closes them or they fall silent.
"""

from __future__ import annotations

import binascii
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import msgspec

from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.recall.rtms.actions import (
    Action,
    Caption,
    CloseSocket,
    OpenSocket,
    Packet,
    ParticipantNotice,
    PauseChanged,
    SendText,
    SocketLost,
    StreamFinished,
    StreamReady,
)
from rtms_simulator.recall.rtms.codes import (
    ALL,
    ALL_FLAG,
    BUSY_STATUS,
    CUT_SHORT,
    FIRST_PACKET_TIMESTAMP,
    KIND_OF_MESSAGE,
    KINDS,
    LATEST_MS,
    LONGEST_UTTERANCE_MS,
    MEDIA_CONNECTION_INTERRUPTED,
    PARTICIPANT_NOTICES,
    SIGNALING,
    STATUS_NAMES,
)


@dataclass(frozen=True, slots=True)
class Timings:
    """Patience, in seconds. The windows are Zoom's (reference C.10); the rest is chosen, as Recall publishes nothing [inf]."""

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


# ----------------------------------------------------------------------------------------------- states


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


@dataclass(slots=True)
class RtmsClient:
    """One stream, from joining to its end. `wanted` maps kinds of KINDS to the media_params asked for."""

    request: StreamRequest
    wanted: Mapping[str, Mapping[str, int | bool]]
    timings: Timings = field(default_factory=Timings)
    phase: Phase = field(default=Phase.NEW, init=False)
    counts: Counter[str] = field(default_factory=Counter, init=False)
    unavailable: dict[str, str] = field(default_factory=dict, init=False)  # kind -> sub_code
    finished: StreamFinished | None = field(default=None, init=False)
    _sockets: dict[str, ClientSocket] = field(default_factory=dict, init=False)
    _out: list[Action] = field(default_factory=list, init=False)
    _joined: bool = field(default=False, init=False)
    _paused: bool = field(default=False, init=False)
    _suspicious: bool = field(default=False, init=False)
    _terminating: bool = field(default=False, init=False)
    _stop_reason: int | None = field(default=None, init=False)
    _ready_by: float = field(default=math.inf, init=False)
    _drained_by: float = field(default=math.inf, init=False)
    _channels: dict[str, int] = field(default_factory=dict, init=False)

    # -------------------------------------------------------------------------------------------- inputs

    def start(self, now: float) -> list[Action]:
        """Begin to join."""
        if self.phase is Phase.NEW:
            self._turn(Turn.START)
            self._sockets[SIGNALING] = ClientSocket(SIGNALING, self.request.server_urls)
            self._open(self._sockets[SIGNALING], now)
        return self._flush()

    def opened(self, role: str, now: float) -> list[Action]:
        """The socket asked for by `OpenSocket` is connected."""
        socket = self._sockets.get(role)
        if socket is not None and socket.state is State.OPENING:
            self._move(socket, Input.OPENED)
            socket.expires_at = now + self.timings.handshake
            self._shake(socket)
        return self._flush()

    def message(self, role: str, raw: str | bytes, now: float) -> list[Action]:
        """One WebSocket message arrived, text or binary."""
        socket = self._sockets.get(role)
        if socket is None or socket.state not in (State.SHAKING, State.UP):
            self.counts["unexpected"] += 1
            return self._flush()
        socket.heard_at = now
        try:
            message = msgspec.json.decode(raw)
        except (ValueError, RecursionError):
            self.counts["malformed"] += 1
            return self._flush()
        kind = _int(message.get("msg_type")) if isinstance(message, dict) else None
        if kind is None:
            self.counts["malformed"] += 1
        elif kind == 12:
            self._keep_alive(socket, message)
        elif socket.role == SIGNALING:
            self._signaling(socket, kind, message, now)
        elif kind in KIND_OF_MESSAGE:
            self._media(socket, KIND_OF_MESSAGE[kind], message)
        elif kind == 4 and socket.state is State.SHAKING:
            self._media_answer(socket, message, now)
        else:
            self.counts["unexpected"] += 1
        return self._flush()

    def closed(self, role: str, code: int | None, now: float) -> list[Action]:
        """The peer closed the socket with this code (1006: without one), or it could not be opened (None)."""
        socket = self._sockets.get(role)
        if socket is None or socket.state not in CONNECTED:
            return self._flush()
        if role == SIGNALING and code == 1000 and socket.state is not State.OPENING:
            # Zoom closes properly at the end of a stream, and, without an answer, when it does not accept the signature (C.5).
            if socket.state is State.UP:
                self._over(now)
            else:
                self._end("zoom_rtms_closed_during_handshake")
        elif role == SIGNALING and self._terminating:
            self._over(now)
        elif self.phase is Phase.DRAINING:
            self._drained(socket)
        elif code is None:
            self._fell(socket, "zoom_rtms_connection_failed", now)
        else:
            self._fell(socket, "zoom_rtms_connection_closed", now)
        return self._flush()

    def tick(self, now: float) -> list[Action]:
        """Time has passed; wants to be called at `deadline`, may be called at any time."""
        for socket in list(self._sockets.values()):
            if self.phase is Phase.ENDED:
                break
            if socket.give_up_at is not None and now >= socket.give_up_at and socket.state not in (State.UP, State.OFF):
                self._give_up(socket, socket.trouble or "zoom_rtms_connection_lost", now)
            elif socket.state is State.WAITING and now >= socket.retry_at:
                self._open(socket, now)
            elif socket.state in (State.OPENING, State.SHAKING) and now >= socket.expires_at:
                self._put(CloseSocket(socket.role))
                self._fell(socket, "zoom_rtms_handshake_timeout", now)
            elif socket.state is State.UP and now >= socket.heard_at + self._patience(socket):
                self._put(CloseSocket(socket.role))
                if self.phase is Phase.DRAINING:
                    self._drained(socket)
                else:
                    self._fell(socket, "zoom_rtms_silence", now)
        if self.phase is Phase.DRAINING and now >= self._drained_by:
            self._end(None)
        if self.phase is Phase.READYING:
            self._settle(now)
        return self._flush()

    def leave(self, sub_code: str | None) -> list[Action]:
        """Stop here, closing properly. Sends no STREAM_CLOSE: that would end the stream for whoever takes it over."""
        self._end(sub_code)
        return self._flush()

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called next, in seconds; None once the stream has ended."""
        if self.phase in (Phase.NEW, Phase.ENDED):
            return None
        earliest = self._drained_by if self.phase is Phase.DRAINING else math.inf
        if self.phase is Phase.READYING and any(socket.state is State.UP for socket in self._media_sockets()):
            earliest = self._ready_by
        for socket in self._sockets.values():
            if socket.state is State.UP:
                earliest = min(earliest, socket.heard_at + self._patience(socket))
                continue
            if socket.give_up_at is not None and socket.state is not State.OFF:
                earliest = min(earliest, socket.give_up_at)
            if socket.state is State.WAITING:
                earliest = min(earliest, socket.retry_at)
            elif socket.state in (State.OPENING, State.SHAKING):
                earliest = min(earliest, socket.expires_at)
        return earliest

    # -------------------------------------------------------------------------------------------- sockets

    def _patience(self, socket: ClientSocket) -> float:
        if self.phase is Phase.DRAINING:
            return self.timings.drain
        return self.timings.suspicion if self._suspicious and socket.role != SIGNALING else self.timings.silence

    def _move(self, socket: ClientSocket, happened: Input) -> None:
        socket.state = SOCKET_TRANSITIONS[socket.state, happened]

    def _turn(self, turn: Turn) -> None:
        self.phase = PHASE_TRANSITIONS[self.phase, turn]

    def _open(self, socket: ClientSocket, now: float) -> None:
        self._move(socket, Input.OPEN)
        socket.expires_at = now + self.timings.handshake
        socket.sequence = 0
        self._put(OpenSocket(socket.role, socket.url))

    def _shake(self, socket: ClientSocket) -> None:
        message: dict[str, Any] = {"protocol_version": 1, "sequence": self._next(socket)}
        message |= {"meeting_uuid": self.request.meeting_uuid, "rtms_stream_id": self.request.rtms_stream_id}
        message["signature"] = self.request.signature
        if socket.role == SIGNALING:
            self._say(socket, {"msg_type": 1} | message)
            return
        flag = ALL_FLAG if socket.role == ALL else KINDS[socket.role][0]
        media = {"media_type": flag, "payload_encryption": False, "media_params": {kind: self.wanted[kind] for kind in socket.kinds}}
        self._say(socket, {"msg_type": 3} | message | media)

    def _next(self, socket: ClientSocket) -> int:
        socket.sequence += 1
        return socket.sequence

    def _say(self, socket: ClientSocket, message: Mapping[str, Any]) -> None:
        self._put(SendText(socket.role, msgspec.json.encode(message).decode()))

    def _fell(self, socket: ClientSocket, trouble: str, now: float) -> None:
        """A socket is down: wait and open it again, for as long as its window lasts."""
        was_up = socket.state is State.UP
        self._move(socket, Input.FELL)
        socket.trouble = trouble
        if was_up:
            self.counts["lost"] += 1
            socket.tries = 0
            self._put(SocketLost(socket.role))
        if socket.role == SIGNALING:
            if was_up:
                socket.give_up_at = now + self.timings.restore_signaling
                self._turn(Turn.SIGNALING_LOST)
                self._drop_media()
            elif self.phase is Phase.JOINING and socket.tries >= len(self.timings.join_waits):
                self._end(trouble)
                return
        elif was_up or socket.give_up_at is None:
            socket.give_up_at = now + self.timings.restore_media
            self._suspicious = False
        waits = self.timings.join_waits if self.phase is Phase.JOINING else self.timings.restore_waits
        socket.retry_at = now + waits[min(socket.tries, len(waits) - 1)]
        socket.tries += 1

    def _give_up(self, socket: ClientSocket, sub_code: str, now: float) -> None:
        """A socket is down for good; without signaling, or without any media, that is the end."""
        if socket.state in CONNECTED:
            self._put(CloseSocket(socket.role))
        self._move(socket, Input.REFUSED if socket.state is State.SHAKING else Input.QUIT)
        socket.trouble = sub_code
        if socket.role == SIGNALING:
            self._end(sub_code)
            return
        for kind in socket.kinds:
            self.unavailable[kind] = sub_code
        if all(other.state is State.OFF for other in self._media_sockets()):
            self._end(sub_code)
        elif self.phase is Phase.READYING:
            self._settle(now)

    def _media_sockets(self) -> list[ClientSocket]:
        return [socket for role, socket in self._sockets.items() if role != SIGNALING]

    def _drop_media(self) -> None:
        for socket in self._media_sockets():
            if socket.state in CONNECTED:
                self._put(CloseSocket(socket.role))
            del self._sockets[socket.role]

    # -------------------------------------------------------------------------------------------- handshakes

    def _answer(self, socket: ClientSocket, message: Mapping[str, Any], now: float) -> bool:
        """Whether the answer to our handshake accepts it. One that is no answer is left for the time-out to judge."""
        status = _int(message.get("status_code"))
        if status is None:
            self.counts["malformed"] += 1
            return False
        if status == 0:
            return True
        name = STATUS_NAMES.get(status, f"status_{status}" if 0 < status < 1000 else "unknown_status")
        sub_code = f"zoom_rtms_{name}"
        self.counts["refused"] += 1
        if status in BUSY_STATUS:
            self._put(CloseSocket(socket.role))
            self._fell(socket, sub_code, now)
        else:
            self._give_up(socket, sub_code, now)
        return False

    def _accepted(self, socket: ClientSocket) -> None:
        self._move(socket, Input.ACCEPTED)
        socket.tries = 0
        socket.give_up_at = None
        for kind in socket.kinds:
            self.unavailable.pop(kind, None)

    def _signaling_answer(self, socket: ClientSocket, message: Mapping[str, Any], now: float) -> None:
        if not self._answer(socket, message, now):
            return
        server = message.get("media_server")
        offered = server.get("server_urls") if isinstance(server, dict) else None
        urls = {role: url for role, url in offered.items() if isinstance(url, str) and url} if isinstance(offered, dict) else {}
        single = [kind for kind in self.wanted if kind in urls]
        if single:
            sockets = [ClientSocket(kind, urls[kind], (kind,)) for kind in single]
            # Zoom hands out a URL for each kind the app has a scope for; the others cannot be had.
            self.unavailable |= {kind: "zoom_rtms_media_not_offered" for kind in self.wanted if kind not in urls}
        elif ALL in urls and self.wanted:
            sockets = [ClientSocket(ALL, urls[ALL], tuple(self.wanted))]
        else:
            self._end("zoom_rtms_no_media_server")
            return
        self._accepted(socket)
        self._turn(Turn.SIGNALING_UP)
        self._ready_by = now + self.timings.media_ready
        for media in sockets:
            self._sockets[media.role] = media
            self._open(media, now)

    def _media_answer(self, socket: ClientSocket, message: Mapping[str, Any], now: float) -> None:
        if not self._answer(socket, message, now):
            return
        params = message.get("media_params")
        confirmed = params.get("audio") if isinstance(params, dict) else None
        if "audio" in socket.kinds and isinstance(confirmed, dict):
            asked = self.wanted["audio"]
            # Values may differ from the request (D.3). Other samples than those asked for cannot be written as what was promised.
            if any(confirmed.get(key, asked[key]) != asked[key] for key in ("codec", "sample_rate", "channel") if key in asked):
                self._give_up(socket, "zoom_rtms_unexpected_media_params", now)
                return
        self._accepted(socket)
        if self.phase is Phase.READYING:
            self._settle(now)
        else:
            self._ready()

    def _settle(self, now: float) -> None:
        """Go live once all media sockets are up or given up, or with those that are up when patience ends."""
        media = self._media_sockets()
        waiting = [socket for socket in media if socket.state not in (State.UP, State.OFF)]
        if waiting and now < self._ready_by:
            return
        if not any(socket.state is State.UP for socket in media):
            return  # nothing to be ready for yet; each socket's own window goes on
        self._turn(Turn.MEDIA_SETTLED)
        self._ready()
        events = [{"event_type": kind, "subscribe": True} for kind in PARTICIPANT_NOTICES]
        self._say(self._sockets[SIGNALING], {"msg_type": 5, "events": events})
        self._joined = True
        self._put(StreamReady())

    def _ready(self) -> None:
        self._say(self._sockets[SIGNALING], {"msg_type": 7, "rtms_stream_id": self.request.rtms_stream_id})

    # -------------------------------------------------------------------------------------------- messages

    def _keep_alive(self, socket: ClientSocket, message: Mapping[str, Any]) -> None:
        timestamp, sequence = _int(message.get("timestamp")), _int(message.get("sequence"))
        if timestamp is None or not 0 <= timestamp < 2**63:
            self.counts["malformed"] += 1
            return
        self.counts["keep_alive"] += 1
        answer = {"msg_type": 13, "timestamp": timestamp}
        if sequence is not None and 0 <= sequence < 2**63:
            answer["sequence"] = sequence
        self._say(socket, answer)

    def _signaling(self, socket: ClientSocket, kind: int, message: Mapping[str, Any], now: float) -> None:
        if socket.state is State.SHAKING:
            if kind == 2:
                self._signaling_answer(socket, message, now)
            else:
                self.counts["unexpected"] += 1
        elif kind == 6:
            self._event(message.get("event"))
        elif kind == 8:
            self._stream_state(message, now)
        elif kind == 9:
            self._session_state(message)
        else:
            self.counts["unexpected"] += 1

    def _stream_state(self, message: Mapping[str, Any], now: float) -> None:
        stream = message.get("rtms_stream_id", self.request.rtms_stream_id)
        state, reason = _int(message.get("state")), _int(message.get("reason"))
        if stream != self.request.rtms_stream_id or state is None:
            self.counts["unexpected"] += 1
        elif state == 3:
            self._terminating = True
            self._stop_reason = self._stop_reason if reason is None else reason
        elif state == 4:
            self._stop_reason = self._stop_reason if reason is None else reason
            self._over(now)
        elif state in (5, 6):
            self._pause(state == 5)

    def _session_state(self, message: Mapping[str, Any]) -> None:
        """A session may stop and another begin inside one stream, so STOPPED alone is not the end."""
        state = _int(message.get("state"))
        if state in (3, 4):
            self._pause(state == 3)
        elif state == 5:
            reason = _int(message.get("stop_reason", message.get("reason")))
            self._stop_reason = self._stop_reason if reason is None else reason

    def _pause(self, paused: bool) -> None:
        if paused is not self._paused:
            self._paused = paused
            self._put(PauseChanged(paused))

    def _event(self, event: object) -> None:
        if not isinstance(event, dict):
            self.counts["malformed"] += 1
            return
        kind, timestamp = _int(event.get("event_type")), _timestamp(event.get("timestamp"))
        if kind == MEDIA_CONNECTION_INTERRUPTED:
            # It names no socket. One that closed is on its way back already; otherwise the one that stays silent is meant.
            self._suspicious = all(socket.state in (State.UP, State.OFF) for socket in self._media_sockets())
            return
        if kind == FIRST_PACKET_TIMESTAMP:
            return
        what = PARTICIPANT_NOTICES.get(kind) if kind is not None else None
        people = event.get("participants") if kind in (3, 4, 8, 9) else [event]
        # Contact-center steps share the numbers 8 and 9 but carry no list of participants.
        if what is None or timestamp is None or not isinstance(people, list):
            self.counts["unexpected"] += 1
            return
        for person in people:
            who = self._who(person) if isinstance(person, dict) else None
            if who is not None:
                self._put(ParticipantNotice(what, *who, timestamp))
            elif what == "screenshare_off":
                self._put(ParticipantNotice(what, None, None, timestamp))
            else:
                self.counts["malformed"] += 1

    def _who(self, content: Mapping[str, Any]) -> tuple[int, str | None] | None:
        """Id and name of a participant; contact-center parties have a channel_id instead and are numbered as they come [inf]."""
        name = content.get("user_name")
        name = name if isinstance(name, str) and name else None
        channel = content.get("channel_id")
        if "user_id" not in content and isinstance(channel, str) and channel:
            return self._channels.setdefault(channel, len(self._channels) + 1), name or channel
        user = content.get("user_id")
        if isinstance(user, str) and user.isascii() and user.isdigit() and len(user) < 20:
            user = int(user)  # the docs' example of PARTICIPANT_JOIN has a string
        user = _int(user)
        return None if user is None or not 0 <= user < 2**63 else (user, name)

    def _media(self, socket: ClientSocket, kind: str, message: Mapping[str, Any]) -> None:
        if socket.state is not State.UP:
            self.counts["unexpected"] += 1
            return
        content = message.get("content")
        who = self._who(content) if isinstance(content, dict) else None
        timestamp = _timestamp(content.get("timestamp")) if isinstance(content, dict) else None
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(content, dict) or who is None or timestamp is None or not isinstance(data, str):
            self.counts["malformed"] += 1
        elif kind not in self.wanted:
            self.counts["unexpected"] += 1
        elif kind == "transcript":
            start, end = _span(content, timestamp)
            attribute = _int(content.get("attribute"))
            self.counts[kind] += 1
            self._put(Caption(*who, data, start, end, _int(content.get("language")), attribute if attribute in (1, 2, 3) else 0))
        else:
            try:
                payload = binascii.a2b_base64(data, strict_mode=True)
            except (ValueError, binascii.Error):
                self.counts["malformed"] += 1
                return
            if content.get("length", len(payload)) != len(payload):
                self.counts["wrong_length"] += 1
            self.counts[kind] += 1
            self._put(Packet(kind, *who, payload, timestamp))

    # -------------------------------------------------------------------------------------------- the end

    def _over(self, now: float) -> None:
        """The stream has ended properly; leave once the media sockets have been read to their end."""
        if not any(socket.state is State.UP for socket in self._media_sockets()):
            self._end(None)
            return
        self._turn(Turn.STREAM_OVER)
        self._drained_by = now + self.timings.drain_most
        for socket in self._sockets.values():
            if socket.role == SIGNALING or socket.state not in (State.UP, State.OFF):
                self._quit(socket)
            else:
                socket.heard_at = now

    def _drained(self, socket: ClientSocket) -> None:
        self._move(socket, Input.QUIT)
        if not any(other.state is State.UP for other in self._media_sockets()):
            self._end(None)

    def _quit(self, socket: ClientSocket) -> None:
        if socket.state in CONNECTED:
            self._put(CloseSocket(socket.role))
        if socket.state is not State.OFF:
            self._move(socket, Input.QUIT)

    def _end(self, sub_code: str | None) -> None:
        if self.phase is Phase.ENDED:
            return
        self._turn(Turn.END)
        for socket in self._sockets.values():
            self._quit(socket)
        cause = CUT_SHORT.get(self._stop_reason) if self._stop_reason is not None else None
        self.finished = StreamFinished(sub_code or cause, self._stop_reason, self._joined)
        self._put(self.finished)

    def _put(self, action: Action) -> None:
        self._out.append(action)

    def _flush(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _int(value: object) -> int | None:
    """The value if it is an integer; JSON's true and 1.0 are not."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _timestamp(value: object) -> int | None:
    """Milliseconds since the epoch, if it can be one."""
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    moment = _int(value)
    return moment if moment is not None and 0 < moment < LATEST_MS else None


def _span(content: Mapping[str, Any], timestamp: int) -> tuple[int, int]:
    """Start and end of an utterance in ms since the epoch. `start_time` and `end_time` are read as that; smaller numbers as
    offsets that only tell how long it took [inf: their unit is undocumented]; without them it took no time.
    """
    start, end = _int(content.get("start_time")), _int(content.get("end_time"))
    if start is None or end is None or not 0 <= start <= end < LATEST_MS or end - start > LONGEST_UTTERANCE_MS:
        return timestamp, timestamp
    if start < 10**11:  # before 1973: no moment, so an offset
        return timestamp, timestamp + end - start
    return start, end
