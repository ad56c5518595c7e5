"""One RTMS stream as Zoom's server sees it: pure, without sockets or clock (developers.zoom.us, RTMS "Universal events").

A driver feeds it what happened (`greet`, `receive`, `lost`, `tick`, and what the host does) together with the time, and carries out
the effects it returns, in order. It never raises for anything a client sends.

`states.TRANSITIONS` says how the stream's state moves, `StreamProtocol.ACCEPTS` which message is read on which kind of socket. Everything
else a client may send is a `ProtocolViolation`: logged, never answered, because Zoom documents no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rtms_simulator.errors import MediaParameterError, UnreadableMessageError
from rtms_simulator.zoom.rtms import answers, media_params
from rtms_simulator.zoom.rtms.enums import (
    MEDIA_KEYS,
    SINGLE_MEDIA_TYPES,
    UNSUPPORTED,
    DataOption,
    EventType,
    MediaType,
    MessageType,
    SessionState,
    StatusCode,
    StopReason,
    StreamState,
)
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest, matches, read_message, sign
from rtms_simulator.zoom.rtms.states import (
    EVERY_KIND,
    FLOWING,
    TRANSITIONS,
    CloseConnection,
    EventsSubscribed,
    ProtocolEffect,
    ProtocolViolation,
    SelectVideo,
    SendMessage,
    SendWebhook,
    SocketRole,
    StartMedia,
    StreamIdentity,
    StreamTrigger,
)
from rtms_simulator.zoom.rtms.transport import unsupported
from rtms_simulator.zoom.rtms.video_subscriptions import VideoSubscriptions
from rtms_simulator.zoom.switches import DOCUMENTED, ZoomSwitches

MessageHandler = Callable[["StreamProtocol", int, Mapping[str, Any], float], list[ProtocolEffect]]
AUTOMATIC_EVENTS = (EventType.FIRST_PACKET_TIMESTAMP, EventType.MEDIA_CONNECTION_INTERRUPTED)
"""Sent without a subscription."""
HIGHEST_EVENT_NUMBER = 2**31 - 1


@dataclass(slots=True)
class _Connection:
    """One connection that passed its handshake."""

    role: SocketRole
    kinds: MediaType
    everything: bool
    params: Mapping[str, Mapping[str, Any]]
    keep_alive_at: float
    flowing: bool = False
    unanswered: int = 0
    sequence: int = 1

    @property
    def individual_video(self) -> bool:
        """Whether its video is one chosen participant's."""
        return MediaType.VIDEO in self.kinds and self.params["video"]["data_opt"] == DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM


class StreamProtocol:
    """The server's side of one stream.

    `media_urls` maps `audio`, `video`, ... and `all` to the URLs handed out in message 2. `now` is always seconds of the clock.
    """

    def __init__(
        self, identity: StreamIdentity, *, session_id: str, media_urls: Mapping[str, str], now: float, switches: ZoomSwitches = DOCUMENTED
    ) -> None:
        self.identity = identity
        self.session_id = session_id
        self.switches = switches
        self.state = StreamState.INACTIVE
        self.session_state = SessionState.INITIALIZE
        self.stop_reason: StopReason | int | None = None
        self.media_urls = dict(media_urls)
        self.started_at = now
        self.video = VideoSubscriptions()
        self.silent = False
        self.kept_silent = 0
        """Keep-alives that were due and not sent, as a fault wants it."""
        """A fault: no keep-alive is sent any more, and none is missed."""
        self._expected = sign(identity.client_id, identity.client_secret, identity.entity_id, identity.stream_id)
        self._sockets: dict[int, _Connection] = {}
        self._subscribed: set[int] = set()
        self._join_by: float | None = now + switches.connect_window_s
        self._media_by: dict[MediaType, float] = {}
        self._audio_from = now
        self._ready = False
        self._end_reason: StopReason = switches.never_joined_reason

    # What a driver may ask

    @property
    def signaling(self) -> int | None:
        """The signaling connection, if there is one."""
        return next((conn for conn, socket in self._sockets.items() if socket.role is SocketRole.SIGNALING), None)

    @property
    def connections(self) -> tuple[int, ...]:
        return tuple(self._sockets)

    @property
    def flowing(self) -> bool:
        """Whether media is sent at the moment: active and not paused."""
        return self.state in FLOWING

    @property
    def awaits_media(self) -> bool:
        """Whether a media socket broke and has not come back."""
        return bool(self._media_by)

    def media_connections(self) -> dict[int, MediaType]:
        return {conn: socket.kinds for conn, socket in self._sockets.items() if socket.role is SocketRole.MEDIA}

    @property
    def deadline(self) -> float | None:
        """When `tick` must be called next, whatever else happens."""
        times = [socket.keep_alive_at for socket in self._sockets.values()]
        times += self._media_by.values()
        if self._join_by is not None:
            times.append(self._join_by)
        return min(times, default=None)

    # What a client does

    def greet(self, conn: int, hello: HandshakeRequest, now: float) -> list[ProtocolEffect]:
        """A handshake on a connection that has none yet. A refused one may try again on the same connection."""
        role = SocketRole.SIGNALING if hello.kind is MessageType.SIGNALING_HAND_SHAKE_REQ else SocketRole.MEDIA
        if self.state in (StreamState.TERMINATING, StreamState.TERMINATED) or hello.entity_id != self.identity.entity_id:
            return self._refuse(conn, role, StatusCode.INVALID_RTMS_STREAM_ID)
        if not matches(hello, self._expected):
            return self._bad_signature(conn, role, now)
        status = unsupported(hello.fields, self.switches)
        if status is not None:
            return self._refuse(conn, role, status)
        return self._greet_signaling(conn, hello, now) if role is SocketRole.SIGNALING else self._greet_media(conn, hello, now)

    def receive(self, conn: int, raw: bytes | str, now: float) -> list[ProtocolEffect]:
        """A message on a connection that passed its handshake."""
        socket = self._sockets.get(conn)
        if socket is None:
            return []
        try:
            message = read_message(raw)
        except UnreadableMessageError as error:
            return [ProtocolViolation(conn, StatusCode.INVALID_PAYLOAD, str(error))]
        number = message["msg_type"]
        handler = self.ACCEPTS[socket.role].get(number)
        if handler is None:
            return [ProtocolViolation(conn, StatusCode.INVALID_MESSAGE_TYPE, f"msg_type {number} on a {socket.role.value} socket")]
        return handler(self, conn, message, now)

    def lost(self, conn: int, now: float) -> list[ProtocolEffect]:
        """A connection closed or broke, on whichever side."""
        socket = self._sockets.pop(conn, None)
        if socket is None:
            return []
        if socket.role is SocketRole.SIGNALING:
            return self._interrupt(now, self.switches.not_back_reason)
        return self._media_lost(conn, socket, now)

    def tick(self, now: float) -> list[ProtocolEffect]:
        """Carry out what is due at `now`: keep-alives, three misses, windows that ran out."""
        effects: list[ProtocolEffect] = []
        for conn in list(self._sockets):
            # An earlier one may have taken this one down with it.
            if conn in self._sockets and self._sockets[conn].keep_alive_at <= now:
                effects += self._keep_alive(conn, now)
        if self._join_by is not None and self._join_by <= now:
            effects += self.stop(self._end_reason, now)
        if any(due <= now for due in self._media_by.values()):
            effects += self.stop(self.switches.not_back_reason, now)
        return effects

    # What the host, the meeting or a fault does

    def stop(self, reason: StopReason | int, now: float) -> list[ProtocolEffect]:
        """End the stream: session stopped, terminating, terminated, sockets closed, webhook."""
        if not self._move(StreamTrigger.STOP):
            return []
        self.stop_reason = reason
        self.session_state = SessionState.STOPPED
        effects: list[ProtocolEffect] = [*self._session_update(now, reason), *self._stream_update(now, reason)]
        self._move(StreamTrigger.CLOSED)
        effects += self._stream_update(now, reason)
        effects += [CloseConnection(conn, self.switches.close_code) for conn in self._sockets]
        self._sockets.clear()
        self._media_by.clear()
        self.video.clear()
        self._join_by = None
        effects.append(SendWebhook("stopped", {"stop_reason": int(reason)}))
        return effects

    def pause(self, now: float) -> list[ProtocolEffect]:
        return self._pause_or_resume(StreamTrigger.PAUSE, SessionState.PAUSED, now)

    def resume(self, now: float) -> list[ProtocolEffect]:
        return self._pause_or_resume(StreamTrigger.RESUME, SessionState.RESUMED, now)

    def new_session(self, session_id: str, now: float) -> list[ProtocolEffect]:
        """The session stops and another begins inside the same stream."""
        if self.signaling is None or not self.flowing:
            return []
        self.session_state = SessionState.STOPPED
        effects = self._session_update(now, StopReason.STOP_BC_HOST_TRIGGERED)
        self.session_id, self.session_state = session_id, SessionState.STARTED
        return [*effects, *self._session_update(now)]

    def event(self, number: int, fields: Mapping[str, Any]) -> list[ProtocolEffect]:
        """Message 6 with these fields, if the app subscribed to that number (1 and 7 come by themselves)."""
        signaling = self.signaling
        if signaling is None or (number not in self._subscribed and number not in AUTOMATIC_EVENTS):
            return []
        return [SendMessage(signaling, answers.event_update(fields))]

    def drop_signaling(self, now: float) -> list[ProtocolEffect]:
        """The signaling socket breaks on Zoom's side."""
        conn = self.signaling
        if conn is None:
            return []
        return [CloseConnection(conn, None), *self.lost(conn, now)]

    def drop_media(self, kinds: MediaType, now: float) -> list[ProtocolEffect]:
        """The media sockets that carry any of `kinds` break on Zoom's side."""
        effects: list[ProtocolEffect] = []
        for conn, carried in self.media_connections().items():
            if carried & kinds:
                effects += [CloseConnection(conn, None), *self.lost(conn, now)]
        return effects

    def fail_over(self, server_url: str, media_urls: Mapping[str, str], now: float) -> list[ProtocolEffect]:
        """The RTMS server dies: every socket breaks, a second rtms_started names the server that took over."""
        if not self._move(StreamTrigger.FAIL_OVER):
            return []
        self.media_urls = dict(media_urls)
        effects: list[ProtocolEffect] = [CloseConnection(conn, None) for conn in self._sockets]
        self._await_reconnect(now, self.switches.not_back_reason)
        return [*effects, SendWebhook("started", {"server_urls": server_url})]

    def misjudge_signature(self) -> None:
        """A wrong signature came, or one that a fault calls wrong: unless a valid client joins later, the stream ends for that reason."""
        if self.state is StreamState.INACTIVE:
            self._end_reason = StopReason.STOP_BC_AUTHENTICATION_FAILURE

    # Handshakes

    def _refuse(self, conn: int, role: SocketRole, status: StatusCode) -> list[ProtocolEffect]:
        return [SendMessage(conn, answers.refusal(role, status, self.switches))]

    def _bad_signature(self, conn: int, role: SocketRole, now: float) -> list[ProtocolEffect]:
        self.misjudge_signature()
        if self.switches.bad_signature == "status":
            return self._refuse(conn, role, StatusCode.INVALID_SIGNATURE)
        return [CloseConnection(conn, self.switches.close_code), *self.stop(StopReason.STOP_BC_AUTHENTICATION_FAILURE, now)]

    def _greet_signaling(self, conn: int, hello: HandshakeRequest, now: float) -> list[ProtocolEffect]:
        effects: list[ProtocolEffect] = []
        if self.signaling is not None:
            if self.switches.second_signaling == "refuse":
                return self._refuse(conn, SocketRole.SIGNALING, StatusCode.DUPLICATE_SIGNAL_REQUEST)
            effects += self._displace(now)
        if hello.fields.get("buffer_data") is False and self.state is StreamState.INACTIVE:
            self._audio_from = now
        if self.state is StreamState.INACTIVE:
            self._join_by = None
        self._ready = False
        self._sockets[conn] = _Connection(SocketRole.SIGNALING, MediaType(0), False, {}, now + self.switches.keep_alive_interval_s)
        answer = answers.handshake_answer(SocketRole.SIGNALING, media_server={"server_urls": self._offered_urls()})
        first_packet = {"event_type": int(EventType.FIRST_PACKET_TIMESTAMP), "timestamp": _ms(self._audio_from)}
        return [*effects, SendMessage(conn, answer), *self.event(EventType.FIRST_PACKET_TIMESTAMP, first_packet)]

    def _displace(self, now: float) -> list[ProtocolEffect]:
        """Another signaling connection takes the stream over: the sockets of the first are closed, no webhook is sent. Inferred."""
        self._move(StreamTrigger.SIGNALING_LOST)
        effects: list[ProtocolEffect] = [CloseConnection(conn, self.switches.close_code) for conn in self._sockets]
        self._await_reconnect(now, self.switches.not_back_reason)
        return effects

    def _offered_urls(self) -> dict[str, str]:
        """Only what the app's scopes and the product allow, and `all`."""
        allowed = {MEDIA_KEYS[kind] for kind in SINGLE_MEDIA_TYPES if kind in self.identity.kinds} | {"all"}
        return {key: url for key, url in self.media_urls.items() if key in allowed}

    def _greet_media(self, conn: int, hello: HandshakeRequest, now: float) -> list[ProtocolEffect]:
        if self.signaling is None:
            return self._refuse(conn, SocketRole.MEDIA, StatusCode.INVALID_RTMS_STREAM_ID)
        requested = hello.fields.get("media_params")
        try:
            kinds, everything = self._kinds(hello.fields.get("media_type"))
            self._check_duplicates(kinds, everything=everything, requested=requested)
            params = media_params.confirm_all(kinds, requested)
        except MediaParameterError as refused:
            return self._refuse(conn, SocketRole.MEDIA, refused.status)
        if type(hello.fields.get("payload_encryption", False)) is not bool:
            return self._refuse(conn, SocketRole.MEDIA, StatusCode.INVALID_PAYLOAD)
        flowing = not self.switches.ready_for_each_media and self._ready
        keep_alive_at = now + self.switches.keep_alive_interval_s
        self._sockets[conn] = _Connection(SocketRole.MEDIA, kinds, everything, params, keep_alive_at, flowing)
        for kind in SINGLE_MEDIA_TYPES:
            if kind in kinds:
                self._media_by.pop(kind, None)
        answer = answers.handshake_answer(SocketRole.MEDIA, payload_encrypted=False, media_params=params)
        return [SendMessage(conn, answer), *([self._start_media(conn)] if flowing else [])]

    def _kinds(self, media_type: object) -> tuple[MediaType, bool]:
        """Which single kinds a socket will carry, and whether it wants all. Raises MediaParameterError."""
        if type(media_type) is not int:
            raise MediaParameterError(StatusCode.INVALID_MEDIA_TYPE)
        if not 0 < media_type <= EVERY_KIND | MediaType.ALL:
            raise MediaParameterError(StatusCode.MEDIA_TYPE_INVALID_VALUE)
        if media_type & MediaType.ALL:
            return self.identity.kinds, True
        kinds = MediaType(media_type)
        for kind in SINGLE_MEDIA_TYPES:
            if kind in kinds and kind not in self.identity.kinds:
                raise MediaParameterError(UNSUPPORTED[kind])
        return kinds, False

    def _check_duplicates(self, kinds: MediaType, *, everything: bool, requested: object) -> None:
        """Raises MediaParameterError for a kind that has its connection; individual video may have several."""
        media = [socket for socket in self._sockets.values() if socket.role is SocketRole.MEDIA]
        if any(socket.everything for socket in media):
            raise MediaParameterError(StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST)
        others = [socket for socket in media if socket.kinds & kinds]
        individual = not everything and kinds is MediaType.VIDEO and media_params.wants_individual_video(requested)
        if len(others) > (self._more_individual_video(others) if individual else 0):
            raise MediaParameterError(StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION)

    def _more_individual_video(self, others: list[_Connection]) -> int:
        """Beside how many video connections another one with individual video may be opened."""
        return self.switches.individual_video_streams - 1 if all(socket.individual_video for socket in others) else 0

    # Messages on sockets that are up

    def _on_second_hello(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        """Documented for a second connection; that a second handshake on the same one is refused alike is inferred."""
        socket = self._sockets[conn]
        if socket.role is SocketRole.SIGNALING:
            return self._refuse(conn, socket.role, StatusCode.DUPLICATE_SIGNAL_REQUEST)
        everything = StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST
        return self._refuse(conn, socket.role, everything if socket.everything else StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION)

    def _on_subscription(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        events = message.get("events")
        if not isinstance(events, list):
            return [ProtocolViolation(conn, StatusCode.INVALID_EVENTS, "events is not a list")]
        effects: list[ProtocolEffect] = []
        begun: list[int] = []
        for event in events:
            number = _event_number(event)
            if number is None:
                effects.append(ProtocolViolation(conn, StatusCode.INVALID_EVENT_TYPE, f"event {event!r:.100}"))
            elif type(event.get("subscribe")) is not bool:
                effects.append(ProtocolViolation(conn, StatusCode.INVALID_EVENT_SUBSCRIBE, f"event {event!r:.100}"))
            elif event["subscribe"]:
                begun.append(number)
                self._subscribed.add(number)
            else:
                self._subscribed.discard(number)
        return [*effects, EventsSubscribed(tuple(begun))] if begun else effects

    def _on_ready(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        if message.get("rtms_stream_id", self.identity.stream_id) != self.identity.stream_id:
            return [ProtocolViolation(conn, StatusCode.INVALID_CLIENT_READY_ACK, "another stream's id")]
        waiting = [media for media, socket in self._sockets.items() if socket.role is SocketRole.MEDIA and not socket.flowing]
        if not waiting and not self._ready:
            return [ProtocolViolation(conn, StatusCode.INVALID_CLIENT_READY_ACK, "no media handshake yet")]
        before = self.state
        self._move(StreamTrigger.READY)
        if self.session_state is SessionState.PAUSED:
            # Paused before the connection broke, or while it was away.
            self._move(StreamTrigger.PAUSE)
        self._join_by = None
        self._ready = True
        effects = self._stream_update(now) if self.state is not before else []
        if self.session_state is SessionState.INITIALIZE:
            self.session_state = SessionState.STARTED
            effects += self._session_update(now)
        return effects + [self._start_media(media) for media in waiting]

    def _start_media(self, conn: int) -> StartMedia:
        socket = self._sockets[conn]
        socket.flowing = True
        return StartMedia(conn, socket.kinds, socket.params, self._audio_from, self.video.selected.get(conn))

    def _on_keep_alive(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        """Any answer counts, with or without sequence, once or twice: the documented form has no sequence, the SDK's has."""
        self._sockets[conn].unanswered = 0
        return []

    def _on_session_state(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        session_id = message.get("rtms_session_id")
        answer = answers.session_state(session_id, self.session_state, _ms(now), known=session_id == self.session_id)
        return [SendMessage(conn, answer)]

    def _on_stream_state(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        stream_id = message.get("rtms_stream_id")
        answer = answers.stream_state(stream_id, self.state, _ms(now), known=stream_id == self.identity.stream_id)
        return [SendMessage(conn, answer)]

    def _on_stream_close(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        mine = message.get("rtms_stream_id") == self.identity.stream_id
        status = StatusCode.OK if mine else StatusCode.INVALID_RTMS_STREAM_ID
        answer = answers.stream_closed(self.identity.stream_id, status, _ms(now), self.switches)
        ending = self.stop(StopReason.STOP_BC_RECEIVER_REQUEST_CLOSE, now) if mine else []
        return [SendMessage(conn, answer), *ending]

    def _on_video_subscription(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        user_id, subscribe = message.get("user_id"), message.get("subscribe")
        connections = [media for media, socket in self._sockets.items() if socket.individual_video]
        status = self.video.status(user_id, subscribe, connections)
        effects: list[ProtocolEffect] = [SendMessage(conn, answers.video_subscribed(user_id, status, _ms(now), self.switches))]
        if status is not StatusCode.OK or type(user_id) is not int:
            return effects
        media = self.video.subscribe(user_id, connections) if subscribe else self.video.unsubscribe(user_id)
        # Before CLIENT_READY_ACK nothing flows; StartMedia names the participant then.
        if media is not None and self._sockets[media].flowing:
            effects.append(SelectVideo(media, self.video.selected.get(media)))
        return effects

    # Time and losses

    def _keep_alive(self, conn: int, now: float) -> list[ProtocolEffect]:
        socket = self._sockets[conn]
        if not self.silent and socket.unanswered >= self.switches.keep_alive_misses:
            return self._keep_alive_lost(conn, socket, now)
        socket.keep_alive_at = now + self.switches.keep_alive_interval_s
        if self.silent:
            self.kept_silent += 1
            return []
        socket.unanswered += 1
        socket.sequence += 1
        return [SendMessage(conn, answers.keep_alive(_ms(now), socket.sequence - 1 if self.switches.keep_alive_sequence else None))]

    def _keep_alive_lost(self, conn: int, socket: _Connection, now: float) -> list[ProtocolEffect]:
        del self._sockets[conn]
        gone = CloseConnection(conn, None)
        if socket.role is SocketRole.MEDIA:
            return [gone, *self._media_lost(conn, socket, now)]
        if self.switches.keep_alive_death == "stop":
            return [gone, *self.stop(StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT, now)]
        return [gone, *self._interrupt(now, StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT)]

    def _media_lost(self, conn: int, socket: _Connection, now: float) -> list[ProtocolEffect]:
        self.video.forget(conn)
        for kind in SINGLE_MEDIA_TYPES:
            if kind in socket.kinds:
                self._media_by[kind] = now + self.switches.media_reconnect_s
        interrupted = {"event_type": int(EventType.MEDIA_CONNECTION_INTERRUPTED), "timestamp": _ms(now)}
        return self.event(EventType.MEDIA_CONNECTION_INTERRUPTED, interrupted)

    def _interrupt(self, now: float, end_reason: StopReason) -> list[ProtocolEffect]:
        """Signaling is gone, and with it the media: the app has a window to come back."""
        if not self._move(StreamTrigger.SIGNALING_LOST):
            return []
        effects: list[ProtocolEffect] = [CloseConnection(conn, self.switches.close_code) for conn in self._sockets]
        self._await_reconnect(now, end_reason)
        return [*effects, SendWebhook("interrupted")]

    def _await_reconnect(self, now: float, end_reason: StopReason) -> None:
        self._sockets.clear()
        self._media_by.clear()
        self._subscribed.clear()
        self.video.clear()
        self._ready = False
        self._join_by = now + self.switches.signaling_reconnect_s
        self._end_reason = end_reason

    # Small parts

    def _move(self, trigger: StreamTrigger) -> bool:
        """Whether the table lets `trigger` happen in this state; if so the state is the next one."""
        target = TRANSITIONS[self.state].get(trigger)
        if target is None:
            return False
        self.state = target
        return True

    def _pause_or_resume(self, trigger: StreamTrigger, session_state: SessionState, now: float) -> list[ProtocolEffect]:
        running = (SessionState.STARTED, SessionState.PAUSED, SessionState.RESUMED)
        if self.state is StreamState.INTERRUPTED and self.session_state in running:
            # No socket is there to send it on; the app gets the session's state when it comes back.
            self.session_state = session_state
            return []
        if not self._move(trigger):
            return []
        self.session_state = session_state
        return [*self._session_update(now), *self._stream_update(now)]

    def _stream_update(self, now: float, reason: int = StopReason.UNDEFINED) -> list[ProtocolEffect]:
        signaling = self.signaling
        if signaling is None:
            return []
        return [SendMessage(signaling, answers.stream_update(self.identity.stream_id, self.state, _ms(now), reason))]

    def _session_update(self, now: float, reason: int | None = None) -> list[ProtocolEffect]:
        signaling = self.signaling
        if signaling is None:
            return []
        return [SendMessage(signaling, answers.session_update(self.session_id, self.session_state, _ms(now), reason))]

    ACCEPTS: ClassVar[Mapping[SocketRole, Mapping[int, MessageHandler]]] = {
        SocketRole.SIGNALING: {
            MessageType.SIGNALING_HAND_SHAKE_REQ: _on_second_hello,
            MessageType.EVENT_SUBSCRIPTION: _on_subscription,
            MessageType.CLIENT_READY_ACK: _on_ready,
            MessageType.SESSION_STATE_REQ: _on_session_state,
            MessageType.KEEP_ALIVE_RESP: _on_keep_alive,
            MessageType.STREAM_STATE_REQ: _on_stream_state,
            MessageType.STREAM_CLOSE_REQ: _on_stream_close,
            MessageType.VIDEO_SUBSCRIPTION_REQ: _on_video_subscription,
        },
        SocketRole.MEDIA: {MessageType.DATA_HAND_SHAKE_REQ: _on_second_hello, MessageType.KEEP_ALIVE_RESP: _on_keep_alive},
    }
    """Which message is read on which kind of socket once its handshake has passed."""


def _event_number(event: object) -> int | None:
    """`event_type`, or V2's `event_code`; None when there is none that can be."""
    if not isinstance(event, dict):
        return None
    number = event.get("event_type", event.get("event_code"))
    return number if type(number) is int and 0 < number <= HIGHEST_EVENT_NUMBER else None


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
