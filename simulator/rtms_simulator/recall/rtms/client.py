"""A client of Zoom's RTMS protocol without any I/O: values in, actions out.

Written from Zoom's RTMS documentation (docs/evidence/zoom.md B2, C, D) as an independent reading of the wire; it shares
nothing with the simulator's Zoom, so that one misreading cannot hide in both.

The owner calls `start`, `opened`, `message`, `closed`, `tick` and `leave` with the present time in seconds; each returns the
actions to carry out, in order: sockets to open and close, texts to send, and what was learnt. `tick` wants to be called at
`deadline`. No input raises, whatever Zoom sends: what cannot be understood is counted in `counts`.

Rules, from which the two tables below follow:

* One signaling socket; after it was accepted one media socket per wanted kind that `server_urls` offers, or one for all of
  them where only `all` is offered. CLIENT_READY_ACK and the event subscription once every media socket is up or given up.
* A lost media socket has 65 s to come back and a lost signaling socket 60 s, both from the moment of the loss; with signaling
  all media start again. There is no fail-over to other servers: Zoom announces those by webhook, and that is a new create.
* A refused handshake is final for its socket, except where the refusal says that an older connection still lives.
* The stream ends by its TERMINATED state, by an orderly close of signaling, or when nothing is left to wait for. What the media
  sockets still carry at that moment is taken in first: they are read until Zoom closes them or they fall silent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.recall.rtms import messages
from rtms_simulator.recall.rtms.actions import (
    Action,
    CloseSocket,
    OpenSocket,
    PauseChanged,
    SendText,
    SocketLost,
    StreamFinished,
    StreamReady,
)
from rtms_simulator.recall.rtms.codes import (
    ALL,
    BUSY_STATUS,
    CUT_SHORT,
    KIND_OF_MESSAGE,
    MEDIA_CONNECTION_INTERRUPTED,
    PROTOCOL_OK,
    SIGNALING,
    STATUS_NAMES,
    WireMessage,
    WireSessionState,
    WireStreamState,
)
from rtms_simulator.recall.rtms.messages import integer
from rtms_simulator.recall.rtms.states import (
    CONNECTED,
    PHASE_TRANSITIONS,
    SOCKET_TRANSITIONS,
    ClientSocket,
    Input,
    Phase,
    State,
    Timings,
    Turn,
)

NORMAL_CLOSURE = 1000  # RFC 6455


@dataclass(slots=True)
class RtmsClient:
    """One stream, from joining to its end. `media` maps kinds of KINDS to the media_params asked for."""

    request: StreamRequest
    media: Mapping[str, Mapping[str, int | bool]]
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
    _reader: messages.ContentReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = messages.ContentReader(frozenset(self.media))

    # Inputs

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
        kind = integer(message.get("msg_type")) if isinstance(message, dict) else None
        if kind is None:
            self.counts["malformed"] += 1
        elif kind == WireMessage.KEEP_ALIVE_REQUEST:
            self._keep_alive(socket, message)
        elif socket.role == SIGNALING:
            self._signaling(socket, kind, message, now)
        elif kind in KIND_OF_MESSAGE:
            self._media(socket, KIND_OF_MESSAGE[kind], message)
        elif kind == WireMessage.MEDIA_HANDSHAKE_RESPONSE and socket.state is State.SHAKING:
            self._media_answer(socket, message, now)
        else:
            self.counts["unexpected"] += 1
        return self._flush()

    def closed(self, role: str, code: int | None, now: float) -> list[Action]:
        """The peer closed the socket with this code (1006: without one), or it could not be opened (None)."""
        socket = self._sockets.get(role)
        if socket is None or socket.state not in CONNECTED:
            return self._flush()
        if role == SIGNALING and code == NORMAL_CLOSURE and socket.state is not State.OPENING:
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
            self._tick_socket(socket, now)
        if self.phase is Phase.DRAINING and now >= self._drained_by:
            self._end(None)
        if self.phase is Phase.READYING:
            self._settle(now)
        return self._flush()

    def _tick_socket(self, socket: ClientSocket, now: float) -> None:
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

    def leave(self, sub_code: str | None) -> list[Action]:
        """Stop here, closing properly. Sends no STREAM_CLOSE: that would end the stream for the client that takes it over."""
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

    # Sockets

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
        socket.sequence += 1
        self._say(socket, messages.handshake(self.request, socket.role, socket.kinds, self.media, socket.sequence))

    def _say(self, socket: ClientSocket, message: Mapping[str, Any]) -> None:
        self._put(SendText(socket.role, messages.text(message)))

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

    # Handshakes

    def _answer(self, socket: ClientSocket, message: Mapping[str, Any], now: float) -> bool:
        """Whether the answer to our handshake accepts it. One that is no answer is left for the time-out to judge."""
        status = integer(message.get("status_code"))
        if status is None:
            self.counts["malformed"] += 1
            return False
        if status == PROTOCOL_OK:
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
        urls = messages.offered_urls(message)
        single = [kind for kind in self.media if kind in urls]
        if single:
            sockets = [ClientSocket(kind, urls[kind], (kind,)) for kind in single]
            # Zoom hands out a URL for each kind the app has a scope for; the others cannot be had.
            self.unavailable |= {kind: "zoom_rtms_media_not_offered" for kind in self.media if kind not in urls}
        elif ALL in urls and self.media:
            sockets = [ClientSocket(ALL, urls[ALL], tuple(self.media))]
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
        # Values may differ from the request, says Zoom's page on media parameters.
        if "audio" in socket.kinds and messages.other_audio(message, self.media["audio"]):
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
        self._say(self._sockets[SIGNALING], messages.subscription())
        self._put(StreamReady(first=not self._joined))
        self._joined = True

    def _ready(self) -> None:
        self._say(self._sockets[SIGNALING], messages.client_ready(self.request.rtms_stream_id))

    # Messages

    def _keep_alive(self, socket: ClientSocket, message: Mapping[str, Any]) -> None:
        answer = messages.keep_alive_answer(message)
        if answer is None:
            self.counts["malformed"] += 1
            return
        self.counts["keep_alive"] += 1
        self._say(socket, answer)

    def _signaling(self, socket: ClientSocket, kind: int, message: Mapping[str, Any], now: float) -> None:
        if socket.state is State.SHAKING:
            if kind == WireMessage.SIGNALING_HANDSHAKE_RESPONSE:
                self._signaling_answer(socket, message, now)
            else:
                self.counts["unexpected"] += 1
        elif kind == WireMessage.EVENT_UPDATE:
            self._event(message.get("event"))
        elif kind == WireMessage.STREAM_STATE_UPDATE:
            self._stream_state(message, now)
        elif kind == WireMessage.SESSION_STATE_UPDATE:
            self._session_state(message)
        else:
            self.counts["unexpected"] += 1

    def _stream_state(self, message: Mapping[str, Any], now: float) -> None:
        stream = message.get("rtms_stream_id", self.request.rtms_stream_id)
        state, reason = integer(message.get("state")), integer(message.get("reason"))
        if stream != self.request.rtms_stream_id or state is None:
            self.counts["unexpected"] += 1
        elif state == WireStreamState.TERMINATING:
            self._terminating = True
            self._stop_reason = self._stop_reason if reason is None else reason
        elif state == WireStreamState.TERMINATED:
            self._stop_reason = self._stop_reason if reason is None else reason
            self._over(now)
        elif state in (WireStreamState.PAUSED, WireStreamState.RESUMED):
            self._pause(paused=state == WireStreamState.PAUSED)

    def _session_state(self, message: Mapping[str, Any]) -> None:
        """A session may stop and another begin inside one stream, so STOPPED alone is not the end."""
        state = integer(message.get("state"))
        if state in (WireSessionState.PAUSED, WireSessionState.RESUMED):
            self._pause(paused=state == WireSessionState.PAUSED)
        elif state == WireSessionState.STOPPED:
            reason = integer(message.get("stop_reason", message.get("reason")))
            self._stop_reason = self._stop_reason if reason is None else reason

    def _pause(self, *, paused: bool) -> None:
        if paused is not self._paused:
            self._paused = paused
            self._put(PauseChanged(paused))

    def _event(self, event: object) -> None:
        if not isinstance(event, dict):
            self.counts["malformed"] += 1
            return
        if integer(event.get("event_type")) == MEDIA_CONNECTION_INTERRUPTED:
            # It names no socket. One that closed is on its way back already; otherwise the one that stays silent is meant.
            self._suspicious = all(socket.state in (State.UP, State.OFF) for socket in self._media_sockets())
            return
        for notice in self._reader.notices(event):
            if isinstance(notice, str):
                self.counts[notice] += 1
            else:
                self._put(notice)

    def _media(self, socket: ClientSocket, kind: str, message: Mapping[str, Any]) -> None:
        if socket.state is not State.UP:
            self.counts["unexpected"] += 1
            return
        item, trouble = self._reader.media(kind, message)
        if trouble is not None:
            self.counts[trouble] += 1
        if item is not None:
            self.counts[kind] += 1
            self._put(item)

    # The end

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
