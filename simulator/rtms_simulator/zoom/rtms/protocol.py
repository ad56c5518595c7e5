"""One RTMS stream as Zoom's server sees it: pure, without sockets or clock (Zoom RTMS event reference, reference C).

A driver feeds it what happened (`greet`, `receive`, `lost`, `tick`, and what the host does) together with the time, and carries out
the effects it returns, in order. It never raises for anything a client sends.

`states.TRANSITIONS` says how the stream's state moves, `StreamProtocol.ACCEPTS` which message is read on which kind of socket. Everything
else a client may send is a `ProtocolViolation`: logged, never answered, because Zoom documents no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rtms_simulator.zoom.rtms import media_params
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
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest, UnreadableMessageError, matches, read_message, sign
from rtms_simulator.zoom.rtms.states import (
    DOCUMENTED,
    EVERY_KIND,
    FLOWING,
    PROTOCOL_VERSION,
    TRANSITIONS,
    CloseConnection,
    EventsSubscribed,
    ProtocolEffect,
    ProtocolViolation,
    RtmsSwitches,
    SelectVideo,
    SendMessage,
    SendWebhook,
    SocketRole,
    StartMedia,
    StreamIdentity,
    StreamTrigger,
    refusal,
)

MessageHandler = Callable[["StreamProtocol", int, Mapping[str, Any], float], list[ProtocolEffect]]


@dataclass(slots=True)
class _Socket:
    """One connection that passed its handshake."""

    role: SocketRole
    kinds: MediaType
    everything: bool
    params: Mapping[str, Mapping[str, Any]]
    keep_alive_at: float
    flowing: bool = False
    unanswered: int = 0
    sequence: int = 1


class StreamProtocol:
    """The server's side of one stream.

    `media_urls` maps `audio`, `video`, ... and `all` to the URLs handed out in message 2. `now` is always seconds of the clock.
    """

    def __init__(
        self, identity: StreamIdentity, *, session_id: str, media_urls: Mapping[str, str], now: float, switches: RtmsSwitches = DOCUMENTED
    ) -> None:
        self.identity = identity
        self.session_id = session_id
        self.switches = switches
        self.state = StreamState.INACTIVE
        self.session_state = SessionState.INITIALIZE
        self.stop_reason: StopReason | int | None = None
        self.media_urls = dict(media_urls)
        self.started_at = now
        self.watched: int | None = None
        """The participant whose individual video is subscribed."""
        self._expected = sign(identity.client_id, identity.client_secret, identity.entity_id, identity.stream_id)
        self._sockets: dict[int, _Socket] = {}
        self._subscribed: set[int] = set()
        self._join_by: float | None = now + switches.connect_window_s
        self._media_by: dict[MediaType, float] = {}
        self._audio_from = now
        self._ready = False
        self.silent = False
        """A fault: no keep-alive is sent any more, and none is missed."""
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
            return [SendMessage(conn, refusal(role, StatusCode.INVALID_RTMS_STREAM_ID))]
        if not matches(hello, self._expected):
            return self._bad_signature(conn, role, now)
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
        handler = self.ACCEPTS[socket.role].get(message["msg_type"])
        if handler is None:
            return [
                ProtocolViolation(conn, StatusCode.INVALID_MESSAGE_TYPE, f"msg_type {message['msg_type']} on a {socket.role.value} socket")
            ]
        return handler(self, conn, message, now)

    def lost(self, conn: int, now: float) -> list[ProtocolEffect]:
        """A connection closed or broke, by whomever."""
        socket = self._sockets.pop(conn, None)
        if socket is None:
            return []
        if socket.role is SocketRole.SIGNALING:
            return self._interrupt(now, self.switches.not_back_reason)
        return self._media_lost(socket, now)

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
        effects: list[ProtocolEffect] = []
        signaling = self.signaling
        if signaling is not None:
            self.session_state = SessionState.STOPPED
            effects.append(self._session_update(signaling, now, reason))
            effects.append(self._stream_update(signaling, now, reason))
        self._move(StreamTrigger.CLOSED)
        if signaling is not None:
            effects.append(self._stream_update(signaling, now, reason))
        effects += [CloseConnection(conn, self.switches.close_code) for conn in self._sockets]
        self._sockets.clear()
        self._media_by.clear()
        self._join_by = None
        self.session_state = SessionState.STOPPED
        effects.append(SendWebhook("stopped", {"stop_reason": int(reason)}))
        return effects

    def pause(self, now: float) -> list[ProtocolEffect]:
        return self._pause_or_resume(StreamTrigger.PAUSE, SessionState.PAUSED, now)

    def resume(self, now: float) -> list[ProtocolEffect]:
        return self._pause_or_resume(StreamTrigger.RESUME, SessionState.RESUMED, now)

    def new_session(self, session_id: str, now: float) -> list[ProtocolEffect]:
        """The session stops and another begins inside the same stream."""
        signaling = self.signaling
        if signaling is None or not self.flowing:
            return []
        self.session_state = SessionState.STOPPED
        stopped = self._session_update(signaling, now, StopReason.STOP_BC_HOST_TRIGGERED)
        self.session_id, self.session_state = session_id, SessionState.STARTED
        return [stopped, self._session_update(signaling, now)]

    def event(self, event_type: int, timestamp_ms: int, fields: Mapping[str, Any] | None = None) -> list[ProtocolEffect]:
        """Message 6, if the app subscribed to that event (1 and 7 come by themselves)."""
        signaling = self.signaling
        automatic = event_type in (EventType.FIRST_PACKET_TIMESTAMP, EventType.MEDIA_CONNECTION_INTERRUPTED)
        if signaling is None or (event_type not in self._subscribed and not automatic):
            return []
        event = {"event_type": int(event_type), "timestamp": timestamp_ms, **(fields or {})}
        return [SendMessage(signaling, {"msg_type": int(MessageType.EVENT_UPDATE), "event": event})]

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
        """Somebody came with a wrong signature, or with one that a fault calls wrong: if nobody better comes, that is why it ended."""
        if self.state is StreamState.INACTIVE:
            self._end_reason = StopReason.STOP_BC_AUTHENTICATION_FAILURE

    # Handshakes

    def _bad_signature(self, conn: int, role: SocketRole, now: float) -> list[ProtocolEffect]:
        self.misjudge_signature()
        if self.switches.bad_signature == "status":
            return [SendMessage(conn, refusal(role, StatusCode.INVALID_SIGNATURE))]
        return [CloseConnection(conn, self.switches.close_code), *self.stop(StopReason.STOP_BC_AUTHENTICATION_FAILURE, now)]

    def _greet_signaling(self, conn: int, hello: HandshakeRequest, now: float) -> list[ProtocolEffect]:
        if self.signaling is not None:
            return [SendMessage(conn, refusal(SocketRole.SIGNALING, StatusCode.DUPLICATE_SIGNAL_REQUEST))]
        if hello.fields.get("protocol_version", PROTOCOL_VERSION) != PROTOCOL_VERSION:
            return [SendMessage(conn, refusal(SocketRole.SIGNALING, StatusCode.INVALID_PAYLOAD))]
        if hello.fields.get("buffer_data") is False and self.state is StreamState.INACTIVE:
            self._audio_from = now
        if self.state is StreamState.INACTIVE:
            self._join_by = None
        self._ready = False
        self._sockets[conn] = _Socket(SocketRole.SIGNALING, MediaType(0), False, {}, now + self.switches.keep_alive_interval_s)
        answer = {
            "msg_type": int(MessageType.SIGNALING_HAND_SHAKE_RESP),
            "protocol_version": PROTOCOL_VERSION,
            "sequence": 1,
            "status_code": int(StatusCode.OK),
            "reason": "",
            "media_server": {"server_urls": self._offered_urls()},
        }
        return [SendMessage(conn, answer), *self.event(EventType.FIRST_PACKET_TIMESTAMP, _ms(self._audio_from))]

    def _offered_urls(self) -> dict[str, str]:
        """Only what the app's scopes allow, and `all`."""
        allowed = {MEDIA_KEYS[kind] for kind in SINGLE_MEDIA_TYPES if kind in self.identity.kinds} | {"all"}
        return {key: url for key, url in self.media_urls.items() if key in allowed}

    def _greet_media(self, conn: int, hello: HandshakeRequest, now: float) -> list[ProtocolEffect]:
        if self.signaling is None:
            return [SendMessage(conn, refusal(SocketRole.MEDIA, StatusCode.INVALID_RTMS_STREAM_ID))]
        if hello.fields.get("protocol_version", PROTOCOL_VERSION) != PROTOCOL_VERSION:
            return [SendMessage(conn, refusal(SocketRole.MEDIA, StatusCode.INVALID_PAYLOAD))]
        try:
            kinds, everything = self._kinds_asked(hello.fields.get("media_type"))
            params = media_params.confirm_all(kinds, hello.fields.get("media_params"))
        except media_params.MediaParamsError as refused:
            return [SendMessage(conn, refusal(SocketRole.MEDIA, refused.status))]
        if hello.fields.get("payload_encryption", False) not in (True, False):
            return [SendMessage(conn, refusal(SocketRole.MEDIA, StatusCode.INVALID_PAYLOAD))]
        flowing = not self.switches.ready_for_each_media and self._ready
        self._sockets[conn] = _Socket(SocketRole.MEDIA, kinds, everything, params, now + self.switches.keep_alive_interval_s, flowing)
        for kind in SINGLE_MEDIA_TYPES:
            if kind in kinds:
                self._media_by.pop(kind, None)
        answer = {
            "msg_type": int(MessageType.DATA_HAND_SHAKE_RESP),
            "protocol_version": PROTOCOL_VERSION,
            "sequence": 1,
            "status_code": int(StatusCode.OK),
            "reason": "",
            "payload_encrypted": False,
            "media_params": params,
        }
        return [SendMessage(conn, answer), *([self._flow(conn, now)] if flowing else [])]

    def _kinds_asked(self, media_type: object) -> tuple[MediaType, bool]:
        """Which single kinds a socket will carry, and whether it asked for all. Raises MediaParamsError."""
        if type(media_type) is not int:
            raise media_params.MediaParamsError(StatusCode.INVALID_MEDIA_TYPE)
        if not 0 < media_type <= EVERY_KIND | MediaType.ALL:
            raise media_params.MediaParamsError(StatusCode.MEDIA_TYPE_INVALID_VALUE)
        everything = bool(media_type & MediaType.ALL)
        kinds = self.identity.kinds if everything else MediaType(media_type)
        for kind in SINGLE_MEDIA_TYPES:
            if kind in kinds and kind not in self.identity.kinds:
                raise media_params.MediaParamsError(UNSUPPORTED[kind])
        media = [socket for socket in self._sockets.values() if socket.role is SocketRole.MEDIA]
        if any(socket.everything for socket in media):
            raise media_params.MediaParamsError(StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST)
        if any(socket.kinds & kinds for socket in media):
            raise media_params.MediaParamsError(StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION)
        return kinds, everything

    # Messages on sockets that are up

    def _on_second_hello(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        """Documented for a second connection; that a second handshake on the same one is refused alike is inferred."""
        socket = self._sockets[conn]
        if socket.role is SocketRole.SIGNALING:
            status = StatusCode.DUPLICATE_SIGNAL_REQUEST
        elif socket.everything:
            status = StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST
        else:
            status = StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION
        return [SendMessage(conn, refusal(socket.role, status))]

    def _on_subscription(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        events = message.get("events")
        if not isinstance(events, list):
            return [ProtocolViolation(conn, StatusCode.INVALID_EVENTS, "events is not a list")]
        effects: list[ProtocolEffect] = []
        begun: list[int] = []
        for event in events:
            if not isinstance(event, dict) or type(event.get("event_type")) is not int or not 0 < event["event_type"] < 100:
                effects.append(ProtocolViolation(conn, StatusCode.INVALID_EVENT_TYPE, f"event {event!r:.100}"))
            elif type(event.get("subscribe")) is not bool:
                effects.append(ProtocolViolation(conn, StatusCode.INVALID_EVENT_SUBSCRIBE, f"event {event!r:.100}"))
            elif event["subscribe"]:
                begun.append(event["event_type"])
                self._subscribed.add(event["event_type"])
            else:
                self._subscribed.discard(event["event_type"])
        if begun and self.switches.roster_on_subscription:
            effects.append(EventsSubscribed(tuple(begun)))
        return effects

    def _on_ready(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        if message.get("rtms_stream_id", self.identity.stream_id) != self.identity.stream_id:
            return [ProtocolViolation(conn, StatusCode.INVALID_CLIENT_READY_ACK, "another stream's id")]
        waiting = [media for media, socket in self._sockets.items() if socket.role is SocketRole.MEDIA and not socket.flowing]
        if not waiting and not self._ready:
            return [ProtocolViolation(conn, StatusCode.INVALID_CLIENT_READY_ACK, "no media handshake yet")]
        before = self.state
        self._move(StreamTrigger.READY)
        self._join_by = None
        self._ready = True
        effects: list[ProtocolEffect] = []
        if self.state is not before:
            effects.append(self._stream_update(conn, now))
        if self.session_state is SessionState.INITIALIZE:
            self.session_state = SessionState.STARTED
            effects.append(self._session_update(conn, now))
        return effects + [self._flow(media, now) for media in waiting]

    def _flow(self, conn: int, now: float) -> StartMedia:
        socket = self._sockets[conn]
        socket.flowing = True
        return StartMedia(conn, socket.kinds, socket.params, max(self._audio_from, now - self.switches.audio_buffer_s))

    def _on_keep_alive(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        """Any answer counts, with or without sequence, once or twice: the documented form has no sequence, the SDK's has."""
        self._sockets[conn].unanswered = 0
        return []

    def _on_session_state(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        answer = {"msg_type": int(MessageType.SESSION_STATE_RESP), "rtms_session_id": message.get("rtms_session_id"), "timestamp": _ms(now)}
        if message.get("rtms_session_id") != self.session_id:
            # The documentation has a status for this but no field in message 11 to carry it; status_code is inferred.
            return [
                SendMessage(conn, answer | {"state": int(SessionState.INACTIVE), "status_code": int(StatusCode.INVALID_RTMS_SESSION_ID)})
            ]
        return [SendMessage(conn, answer | {"state": int(self.session_state)})]

    def _on_stream_state(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        asked = message.get("rtms_stream_id")
        answer = {"msg_type": int(MessageType.STREAM_STATE_RESP), "rtms_stream_id": asked, "timestamp": _ms(now)}
        if asked != self.identity.stream_id:
            # As in message 11: that the documented status comes in a field status_code is inferred.
            return [SendMessage(conn, answer | {"state": int(StreamState.INACTIVE), "status_code": int(StatusCode.INVALID_RTMS_STREAM_ID)})]
        return [SendMessage(conn, answer | {"state": int(self.state)})]

    def _on_stream_close(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        mine = message.get("rtms_stream_id") == self.identity.stream_id
        status = StatusCode.OK if mine else StatusCode.INVALID_RTMS_STREAM_ID
        answer = {
            "msg_type": int(MessageType.STREAM_CLOSE_RESP),
            "rtms_stream_id": self.identity.stream_id,
            "status_code": int(status),
            "reason": status.name,
            "timestamp": _ms(now),
        }
        ending = self.stop(StopReason.STOP_BC_RECEIVER_REQUEST_CLOSE, now) if mine else []
        return [SendMessage(conn, answer), *ending]

    def _on_video_subscription(self, conn: int, message: Mapping[str, Any], now: float) -> list[ProtocolEffect]:
        user_id, subscribe = message.get("user_id"), message.get("subscribe")
        media = self._individual_video()
        status = self._video_subscription_status(user_id, subscribe, media)
        answer = {
            "msg_type": int(MessageType.VIDEO_SUBSCRIPTION_RESP),
            "user_id": user_id if type(user_id) is int else 0,
            "status_code": int(status),
            "reason": status.name,
            "timestamp": _ms(now),
        }
        effects: list[ProtocolEffect] = [SendMessage(conn, answer)]
        if status is StatusCode.OK and media is not None:
            assert type(user_id) is int
            # Unsubscribing from somebody else than the one who is watched changes nothing.
            watched = user_id if subscribe else None if user_id == self.watched else self.watched
            if watched != self.watched:
                self.watched = watched
                effects.append(SelectVideo(media, watched))
        return effects

    def _individual_video(self) -> int | None:
        """The connection whose video is one chosen participant's."""
        individual = DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM
        for conn, socket in self._sockets.items():
            if MediaType.VIDEO in socket.kinds and socket.params["video"]["data_opt"] == individual:
                return conn
        return None

    def _video_subscription_status(self, user_id: object, subscribe: object, media: int | None) -> StatusCode:
        if type(user_id) is not int or not 0 <= user_id < 2**32 or type(subscribe) is not bool:
            return StatusCode.INVALID_PAYLOAD
        if media is None:
            # Inferred: the documentation says individual video needs data_opt 4, not what happens without it.
            return StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT
        return StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION if subscribe and user_id == self.watched else StatusCode.OK

    # Time and losses

    def _keep_alive(self, conn: int, now: float) -> list[ProtocolEffect]:
        socket = self._sockets[conn]
        if self.silent:
            socket.keep_alive_at = now + self.switches.keep_alive_interval_s
            return []
        if socket.unanswered >= self.switches.keep_alive_misses:
            return self._keep_alive_lost(conn, socket, now)
        socket.unanswered += 1
        socket.sequence += 1
        socket.keep_alive_at = now + self.switches.keep_alive_interval_s
        request: dict[str, Any] = {"msg_type": int(MessageType.KEEP_ALIVE_REQ), "timestamp": _ms(now)}
        if self.switches.keep_alive_sequence:
            request["sequence"] = socket.sequence - 1
        return [SendMessage(conn, request)]

    def _keep_alive_lost(self, conn: int, socket: _Socket, now: float) -> list[ProtocolEffect]:
        del self._sockets[conn]
        gone = CloseConnection(conn, None)
        if socket.role is SocketRole.MEDIA:
            return [gone, *self._media_lost(socket, now)]
        if self.switches.keep_alive_death == "stop":
            return [gone, *self.stop(StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT, now)]
        return [gone, *self._interrupt(now, StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT)]

    def _media_lost(self, socket: _Socket, now: float) -> list[ProtocolEffect]:
        for kind in SINGLE_MEDIA_TYPES:
            if kind in socket.kinds:
                self._media_by[kind] = now + self.switches.media_reconnect_s
        if MediaType.VIDEO in socket.kinds:
            self.watched = None
        return self.event(EventType.MEDIA_CONNECTION_INTERRUPTED, _ms(now))

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
        self.watched = None
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
        if not self._move(trigger):
            return []
        self.session_state = session_state
        signaling = self.signaling
        return [] if signaling is None else [self._session_update(signaling, now), self._stream_update(signaling, now)]

    def _stream_update(self, conn: int, now: float, reason: int = StopReason.UNDEFINED) -> SendMessage:
        message = {
            "msg_type": int(MessageType.STREAM_STATE_UPDATE),
            "rtms_stream_id": self.identity.stream_id,
            "state": int(self.state),
            "reason": int(reason),
            "timestamp": _ms(now),
        }
        return SendMessage(conn, message)

    def _session_update(self, conn: int, now: float, reason: int | None = None) -> SendMessage:
        """The documentation's example says `stop_reason`, its table says `reason`: both are sent."""
        message: dict[str, Any] = {
            "msg_type": int(MessageType.SESSION_STATE_UPDATE),
            "rtms_session_id": self.session_id,
            "state": int(self.session_state),
            "timestamp": _ms(now),
        }
        if reason is not None:
            message |= {"stop_reason": int(reason), "reason": int(reason)}
        return SendMessage(conn, message)

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


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
