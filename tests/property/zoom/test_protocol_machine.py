"""Any interleaving of client messages, losses, host actions and clock steps keeps the protocol's invariants (issue 3, "Shown by")."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtms_simulator.zoom.rtms.enums import SINGLE_MEDIA_TYPES, MediaType, SessionState, StatusCode, StreamState
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest, read_hello, sign
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import (
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
)
from rtms_simulator.zoom.switches import ZoomSwitches

ME = StreamIdentity("stream", "meeting/uuid==", "client", "secret")
SIGNATURE = sign("client", "secret", "meeting/uuid==", "stream")
ANSWERS = {2, 4, 6, 8, 9, 11, 12, 20, 22, 29}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(
    st.sampled_from(
        ["rtms_stream_id", "rtms_session_id", "events", "user_id", "subscribe", "timestamp", "sequence", "media_params", "state", "junk"]
    ),
    json_values,
    max_size=4,
)


class Protocol(RuleBasedStateMachine):
    """`mine` is this test's own book of which connections are up, kept only from what the protocol said and what happened to it."""

    @initialize(
        bad_signature=st.sampled_from(["status", "close"]),
        keep_alive_death=st.sampled_from(["interrupt", "stop"]),
        ready=st.booleans(),
        kinds=st.integers(0, 31),
    )
    def begin(self, bad_signature: Any, keep_alive_death: Any, ready: bool, kinds: int) -> None:
        switches = ZoomSwitches(bad_signature=bad_signature, keep_alive_death=keep_alive_death, ready_for_each_media=ready)
        identity = StreamIdentity(ME.stream_id, ME.entity_id, ME.client_id, ME.client_secret, MediaType(kinds))
        self.now = 1000.0
        urls = {key: f"ws://zoom/{key}" for key in ("audio", "video", "deskshare", "transcript", "chat", "all")}
        self.protocol = StreamProtocol(identity, session_id="session", media_urls=urls, now=self.now, switches=switches)
        self.kinds = MediaType(kinds)
        self.up: set[int] = set()
        self.flows: set[int] = set()
        self.next_conn = 1
        self.stops = 0
        self.was = self.protocol.state

    def carry_out(self, effects: list[ProtocolEffect], greeted: int | None = None) -> None:
        """Judge every effect as a driver would meet it."""
        for effect in effects:
            match effect:
                case SendMessage(conn, message):
                    assert conn in self.up or conn == greeted
                    assert message["msg_type"] in ANSWERS
                    json.dumps(message)
                    if message["msg_type"] in (2, 4) and conn == greeted and message["status_code"] == 0:
                        self.up.add(conn)
                    if "status_code" in message:
                        StatusCode(message["status_code"])
                case CloseConnection(conn, _):
                    assert conn in self.up or conn == greeted
                    self.up.discard(conn)
                    self.flows.discard(conn)
                case StartMedia(conn, kinds, params, since):
                    assert conn in self.up
                    assert conn not in self.flows
                    assert kinds == kinds & self.kinds
                    assert len(params) == sum(kind in kinds for kind in SINGLE_MEDIA_TYPES)
                    assert self.now - 60 <= since <= self.now
                    self.flows.add(conn)
                case SendWebhook("stopped", found):
                    self.stops += 1
                    assert found["stop_reason"] == self.protocol.stop_reason
                case SendWebhook(what):
                    assert what in ("started", "interrupted")
                    assert not self.up
                case SelectVideo(conn, _):
                    assert conn in self.up
                case ProtocolViolation(conn, code, about):
                    assert conn in self.up
                    assert len(about) < 400
                    StatusCode(code)
                case EventsSubscribed():
                    assert self.protocol.signaling is not None

    def connection(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.up)))

    @rule(
        kind=st.sampled_from([1, 3]),
        media_type=st.one_of(st.integers(-2, 70), st.sampled_from([1, 2, 4, 8, 16, 32, 9]), json_values),
        media_params=st.one_of(st.none(), st.just({}), st.fixed_dictionaries({"audio": json_values}), st.just({"video": {"data_opt": 4}})),
        signature=st.sampled_from([SIGNATURE, SIGNATURE, SIGNATURE, SIGNATURE, "0" * 64, "ë"]),
        buffer_data=st.booleans(),
    )
    def handshake(self, kind: int, media_type: Any, media_params: Any, signature: str, buffer_data: bool) -> None:
        message = {
            "msg_type": kind,
            "call_id": ME.entity_id,
            "rtms_stream_id": "stream",
            "signature": signature,
            "media_type": media_type,
            "media_params": media_params,
            "buffer_data": buffer_data,
        }
        hello = read_hello(message)
        assert isinstance(hello, HandshakeRequest)
        conn, self.next_conn = self.next_conn, self.next_conn + 1
        effects = self.protocol.greet(conn, hello, self.now)
        assert any(isinstance(effect, (SendMessage, CloseConnection)) and effect.conn == conn for effect in effects)
        self.carry_out(effects, greeted=conn)
        if signature != SIGNATURE:
            assert conn not in self.protocol.connections

    @precondition(lambda self: self.up)
    @rule(data=st.data(), msg_type=st.one_of(st.sampled_from([5, 7, 10, 13, 19, 21, 28]), st.integers(-1, 40)), more=fields)
    def message(self, data: st.DataObject, msg_type: int, more: dict[str, Any]) -> None:
        conn = self.connection(data)
        self.carry_out(self.protocol.receive(conn, json.dumps({"msg_type": msg_type, **more}), self.now))

    @precondition(lambda self: self.up)
    @rule(
        data=st.data(),
        message=st.sampled_from(
            [
                {"msg_type": 7, "rtms_stream_id": "stream"},
                {"msg_type": 7},
                {"msg_type": 5, "events": [{"event_type": 2, "subscribe": True}, {"event_type": 9, "subscribe": False}]},
                {"msg_type": 13, "timestamp": 1},
                {"msg_type": 13, "timestamp": 1, "sequence": 1},
                {"msg_type": 28, "user_id": 5, "subscribe": True},
                {"msg_type": 28, "user_id": 5, "subscribe": False},
                {"msg_type": 21, "rtms_stream_id": "other"},
            ]
        ),
    )
    def likely_message(self, data: st.DataObject, message: dict[str, Any]) -> None:
        self.carry_out(self.protocol.receive(self.connection(data), json.dumps(message), self.now))

    @precondition(lambda self: self.up)
    @rule(data=st.data(), raw=st.binary(max_size=40))
    def garbage(self, data: st.DataObject, raw: bytes) -> None:
        before = self.protocol.state, self.protocol.connections
        self.carry_out(self.protocol.receive(self.connection(data), raw, self.now))
        assert (self.protocol.state, self.protocol.connections) == before

    @rule(raw=st.binary(max_size=20), conn=st.integers(10**6, 10**6 + 3))
    def message_on_a_stranger(self, raw: bytes, conn: int) -> None:
        assert self.protocol.receive(conn, raw, self.now) == []
        assert self.protocol.lost(conn, self.now) == []

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def loss(self, data: st.DataObject) -> None:
        conn = self.connection(data)
        self.up.discard(conn)
        self.flows.discard(conn)
        self.carry_out(self.protocol.lost(conn, self.now))

    @rule(seconds=st.sampled_from([0.0, 0.5, 9.9, 10.0, 10.1, 30.0, 61.0, 66.0]))
    def time_passes(self, seconds: float) -> None:
        """As a driver does: never later than the deadline."""
        until = self.now + seconds
        for _ in range(10_000):
            deadline = self.protocol.deadline
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.carry_out(self.protocol.tick(self.now))
            assert self.protocol.deadline is None or self.protocol.deadline > self.now
        self.now = until

    @rule(
        what=st.sampled_from(["pause", "resume", "drop_signaling", "drop_media", "fail_over", "new_session", "event", "silent"]),
        kinds=st.integers(1, 31),
    )
    def host(self, what: str, kinds: int) -> None:
        match what:
            case "drop_media":
                effects = self.protocol.drop_media(MediaType(kinds), self.now)
            case "fail_over":
                effects = self.protocol.fail_over("ws://new", {"all": "ws://new/all"}, self.now)
            case "new_session":
                effects = self.protocol.new_session("other", self.now)
            case "event":
                effects = self.protocol.event(kinds, {"event_type": kinds, "user_id": 1})
            case "silent":
                self.protocol.silent = not self.protocol.silent
                effects = []
            case _:
                effects = getattr(self.protocol, what)(self.now)
        self.carry_out(effects)

    @rule(reason=st.integers(0, 26))
    def stop(self, reason: int) -> None:
        over = self.protocol.state is StreamState.TERMINATED
        effects = self.protocol.stop(reason, self.now)
        self.carry_out(effects)
        assert (effects == []) is over

    @invariant()
    def the_books_agree(self) -> None:
        assert set(self.protocol.connections) == self.up
        assert self.flows <= set(self.protocol.media_connections())

    @invariant()
    def one_signaling_and_each_kind_once(self) -> None:
        roles = [self.protocol._sockets[conn].role for conn in self.protocol.connections]
        assert roles.count(SocketRole.SIGNALING) <= 1
        carried = list(self.protocol.media_connections().values())
        for kind in SINGLE_MEDIA_TYPES:
            assert sum(kind in kinds for kinds in carried) <= 1

    @invariant()
    def no_media_without_signaling(self) -> None:
        if self.protocol.signaling is None:
            assert not self.protocol.media_connections()

    @invariant()
    def the_state_moved_within_the_table(self) -> None:
        reachable, edge = {self.was}, {self.was}
        while edge:
            edge = {target for state in edge for target in TRANSITIONS[state].values()} - reachable
            reachable |= edge
        assert self.protocol.state in reachable
        self.was = self.protocol.state

    @invariant()
    def it_ends_once_and_leaves_nothing(self) -> None:
        over = self.protocol.state is StreamState.TERMINATED
        assert self.stops == over
        if over:
            assert self.protocol.deadline is None
            assert not self.protocol.connections
            assert self.protocol.session_state is SessionState.STOPPED
        else:
            assert self.protocol.deadline is not None

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.protocol._subscribed) < 100
        assert len(self.protocol._sockets) <= 6
        assert len(self.protocol._media_by) <= 5


Protocol.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
TestProtocol = Protocol.TestCase
