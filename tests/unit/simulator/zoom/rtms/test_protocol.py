"""The pure protocol, message by message and row by row of its tables (docs/evidence/zoom.md C)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtms_simulator.zoom.rtms.enums import MessageType, SessionState, StatusCode, StopReason, StreamState
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest, read_hello, read_message, sign
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import (
    TRANSITIONS,
    CloseConnection,
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
from rtms_simulator.zoom.switches import ZoomSwitches

STREAM, ENTITY = "609340fb2a7946909659956c8aa9250c", "4444AAAiAAAAAiAiAiiAii=="
ME = StreamIdentity(STREAM, ENTITY, "cid_probe", "secret_probe")
SIGNATURE = "637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68"
URLS = {key: f"ws://zoom.test/{key}" for key in ("audio", "video", "deskshare", "transcript", "chat", "all")}
SIGNALING, MEDIA, OTHER = 1, 2, 3


def stream(**switches: Any) -> StreamProtocol:
    return StreamProtocol(ME, session_id="session", media_urls=URLS, now=0.0, switches=ZoomSwitches(**switches))


def hello(kind: int, **fields: Any) -> HandshakeRequest:
    message = {"msg_type": kind, "protocol_version": 1, "meeting_uuid": ENTITY, "rtms_stream_id": STREAM, "signature": SIGNATURE, **fields}
    found = read_hello(message)
    assert isinstance(found, HandshakeRequest)
    return found


def say(protocol: StreamProtocol, conn: int, now: float = 1.0, **message: Any) -> list[ProtocolEffect]:
    return protocol.receive(conn, json.dumps(message), now)


def sent(effects: list[ProtocolEffect], msg_type: int | None = None) -> list[dict[str, Any]]:
    return [effect.message for effect in effects if isinstance(effect, SendMessage) and msg_type in (None, effect.message["msg_type"])]


def status(effects: list[ProtocolEffect]) -> int:
    [message] = [message for message in sent(effects) if "status_code" in message]
    return message["status_code"]


def joined(*kinds: int, **switches: Any) -> StreamProtocol:
    """A stream with signaling on connection 1, media from 2 on, and CLIENT_READY_ACK given."""
    protocol = stream(**switches)
    assert status(protocol.greet(SIGNALING, hello(1), 1.0)) == 0
    for conn, kind in enumerate(kinds or (1,), start=MEDIA):
        assert status(protocol.greet(conn, hello(3, media_type=kind), 1.0)) == 0
    say(protocol, SIGNALING, msg_type=7, rtms_stream_id=STREAM)
    return protocol


def test_the_signature_is_the_one_that_zooms_sdk_computed() -> None:
    assert sign("cid_probe", "secret_probe", ENTITY, STREAM) == SIGNATURE


@pytest.mark.parametrize("field", ["meeting_uuid", "webinar_uuid", "session_id", "engagement_id", "call_id"])
def test_the_entity_may_come_under_any_products_name(field: str) -> None:
    message = {"msg_type": 1, field: ENTITY, "rtms_stream_id": STREAM, "signature": SIGNATURE}
    found = read_hello(message)
    assert isinstance(found, HandshakeRequest)
    assert status(stream().greet(SIGNALING, found, 1.0)) == 0


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ({"msg_type": 12}, StatusCode.INVALID_MESSAGE_TYPE),
        ({"msg_type": 99}, StatusCode.INVALID_MESSAGE_TYPE),
        ({"msg_type": 1, "meeting_uuid": "m", "signature": "s"}, StatusCode.INVALID_RTMS_STREAM_ID),
        ({"msg_type": 1, "rtms_stream_id": 7, "meeting_uuid": "m", "signature": "s"}, StatusCode.INVALID_RTMS_STREAM_ID),
        ({"msg_type": 1, "rtms_stream_id": "s", "signature": "s"}, StatusCode.INVALID_PAYLOAD),
        ({"msg_type": 1, "rtms_stream_id": "s", "meeting_uuid": 1, "signature": "s"}, StatusCode.INVALID_PAYLOAD),
        ({"msg_type": 1, "rtms_stream_id": "s", "meeting_uuid": "m"}, StatusCode.INVALID_SIGNATURE),
        ({"msg_type": 3, "rtms_stream_id": "s", "meeting_uuid": "m", "signature": None}, StatusCode.INVALID_SIGNATURE),
    ],
)
def test_a_handshake_that_cannot_be_read_has_a_status(message: dict[str, Any], refused: StatusCode) -> None:
    assert read_hello(message) == refused


def test_the_answer_to_signaling_offers_one_url_per_kind_and_all_and_event_1_follows() -> None:
    effects = stream().greet(SIGNALING, hello(1, sequence=2_300_000_000_000), 1.0)
    answer, first_packet = sent(effects)
    assert answer["media_server"]["server_urls"] == URLS
    assert (answer["msg_type"], answer["status_code"], answer["reason"], answer["protocol_version"]) == (2, 0, "", 1)
    assert first_packet == {"msg_type": 6, "event": {"event_type": 1, "timestamp": 0}}


def test_a_wrong_signature_is_status_3_or_a_close_with_the_stream_stopped() -> None:
    wrong = hello(1, signature="0" * 64)
    assert status(stream().greet(SIGNALING, wrong, 1.0)) == 3
    effects = stream(bad_signature="close").greet(SIGNALING, wrong, 1.0)
    assert effects == [CloseConnection(SIGNALING, 1000), SendWebhook("stopped", {"stop_reason": 18})]


@pytest.mark.parametrize("fields", [{"meeting_uuid": "another"}, {"meeting_uuid": ENTITY.lower()}])
def test_another_meetings_id_is_status_2(fields: dict[str, Any]) -> None:
    assert status(stream().greet(SIGNALING, hello(1, **fields), 1.0)) == 2


def test_a_protocol_version_that_is_not_1_is_status_4() -> None:
    assert status(stream().greet(SIGNALING, hello(1, protocol_version=2), 1.0)) == 4
    protocol = joined()
    [answer] = sent(protocol.greet(OTHER, hello(3, media_type=8, protocol_version=2), 1.0))
    assert (answer["msg_type"], answer["status_code"]) == (4, 4)
    assert status(protocol.greet(OTHER, hello(3, media_type=8), 1.0)) == 0


def test_a_second_signaling_connection_is_status_8_and_the_first_lives() -> None:
    protocol = joined()
    assert status(protocol.greet(OTHER, hello(1), 2.0)) == 8
    assert protocol.signaling == SIGNALING


def test_a_second_handshake_on_the_signaling_socket_is_status_8_and_the_first_lives() -> None:
    protocol = joined()
    [answer] = sent(say(protocol, SIGNALING, msg_type=1, rtms_stream_id=STREAM, meeting_uuid=ENTITY, signature=SIGNATURE))
    assert (answer["msg_type"], answer["status_code"], answer["reason"]) == (2, 8, "duplicate signal request")
    assert protocol.signaling == SIGNALING
    assert protocol.state is StreamState.ACTIVE


@pytest.mark.parametrize(("carried", "refused"), [(1, 16), (8, 16), (32, 15)])
def test_a_second_handshake_on_a_media_socket_is_refused_and_the_first_lives(carried: int, refused: int) -> None:
    protocol = joined(carried)
    for asked in (carried, 2):
        [answer] = sent(say(protocol, MEDIA, msg_type=3, media_type=asked, rtms_stream_id=STREAM, meeting_uuid=ENTITY, signature=SIGNATURE))
        assert (answer["msg_type"], answer["status_code"]) == (4, refused)
    assert list(protocol.media_connections()) == [MEDIA]
    assert protocol.flowing


def test_media_before_signaling_is_status_2() -> None:
    assert status(stream().greet(MEDIA, hello(3, media_type=1), 1.0)) == 2


@pytest.mark.parametrize(
    ("media_type", "refused"),
    [(None, 7), ("1", 7), (True, 7), (1.0, 7), (0, 14), (-1, 14), (64, 14), (128 | 1, 14), (2**70, 14)],
)
def test_a_media_type_that_is_none(media_type: object, refused: int) -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    assert status(protocol.greet(MEDIA, hello(3, media_type=media_type), 1.0)) == refused


@pytest.mark.parametrize(("missing", "number", "refused"), [(1, 1, 9), (2, 2, 10), (4, 4, 11), (8, 8, 12), (16, 16, 13)])
def test_a_kind_outside_the_scopes_has_its_own_status_and_no_url(missing: int, number: int, refused: int) -> None:
    from rtms_simulator.zoom.rtms.enums import MediaType

    identity = StreamIdentity(STREAM, ENTITY, "cid_probe", "secret_probe", MediaType(31 - missing))
    protocol = StreamProtocol(identity, session_id="s", media_urls=URLS, now=0.0)
    offered = sent(protocol.greet(SIGNALING, hello(1), 1.0))[0]["media_server"]["server_urls"]
    assert len(offered) == 5
    assert status(protocol.greet(MEDIA, hello(3, media_type=number), 1.0)) == refused
    assert status(protocol.greet(MEDIA, hello(3, media_type=32), 1.0)) == 0


@pytest.mark.parametrize(("first", "second", "refused"), [(32, 1, 15), (32, 32, 15), (1, 1, 16), (1, 32, 16), (1 | 8, 8, 16), (1, 8, 0)])
def test_the_same_kind_twice(first: int, second: int, refused: int) -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    assert status(protocol.greet(MEDIA, hello(3, media_type=first), 1.0)) == 0
    assert status(protocol.greet(OTHER, hello(3, media_type=second), 1.0)) == refused


def test_the_answer_to_media_has_a_boolean_payload_encrypted_and_every_parameter() -> None:
    """What Zoom's own client needs, whatever the documentation's table calls it."""
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    [answer] = sent(protocol.greet(MEDIA, hello(3, media_type=32, media_params=None), 1.0))
    assert answer["payload_encrypted"] is False
    assert answer["media_params"]["audio"].keys() == {"content_type", "sample_rate", "channel", "codec", "data_opt", "send_rate"}
    assert answer["media_params"].keys() == {"audio", "video", "deskshare", "transcript", "chat"}


def test_bad_parameters_refuse_the_handshake_with_their_status() -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    assert status(protocol.greet(MEDIA, hello(3, media_type=1, media_params={"audio": {"codec": 9}}), 1.0)) == 22
    assert status(protocol.greet(MEDIA, hello(3, media_type=1, payload_encryption="yes"), 1.0)) == 4
    assert status(protocol.greet(MEDIA, hello(3, media_type=1, payload_encryption=True), 1.0)) == 0


def test_media_flows_after_ready_and_the_states_are_told_once() -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    protocol.greet(MEDIA, hello(3, media_type=1), 1.0)
    effects = say(protocol, SIGNALING, msg_type=7, rtms_stream_id=STREAM)
    assert [(message["msg_type"], message["state"]) for message in sent(effects)] == [(8, 1), (9, 2)]
    assert [effect.conn for effect in effects if isinstance(effect, StartMedia)] == [MEDIA]
    assert say(protocol, SIGNALING, msg_type=7, rtms_stream_id=STREAM) == []
    protocol.greet(OTHER, hello(3, media_type=8), 1.0)
    assert [type(effect) for effect in say(protocol, SIGNALING, msg_type=7)] == [StartMedia]


def test_ready_before_any_media_is_a_complaint() -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    [complaint] = say(protocol, SIGNALING, msg_type=7, rtms_stream_id=STREAM)
    assert isinstance(complaint, ProtocolViolation)
    assert complaint.status is StatusCode.INVALID_CLIENT_READY_ACK
    assert protocol.state is StreamState.INACTIVE


def test_with_the_switch_off_a_later_socket_flows_without_another_ready() -> None:
    protocol = joined(1, ready_for_each_media=False)
    effects = protocol.greet(OTHER, hello(3, media_type=8), 2.0)
    assert [effect.conn for effect in effects if isinstance(effect, StartMedia)] == [OTHER]


def test_the_buffer_reaches_back_to_the_start_or_to_signaling() -> None:
    for ready_at in (10.0, 90.0):
        protocol = stream()
        protocol.greet(SIGNALING, hello(1), 5.0)
        protocol.greet(MEDIA, hello(3, media_type=1), 5.0)
        [flow] = [effect for effect in say(protocol, SIGNALING, ready_at, msg_type=7) if isinstance(effect, StartMedia)]
        assert flow.buffered_from == 0.0
    protocol = stream()
    protocol.greet(SIGNALING, hello(1, buffer_data=False), 5.0)
    protocol.greet(MEDIA, hello(3, media_type=1), 6.0)
    [flow] = [effect for effect in say(protocol, SIGNALING, 7.0, msg_type=7) if isinstance(effect, StartMedia)]
    assert flow.buffered_from == 5.0


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ("all", StatusCode.INVALID_EVENTS),
        ([2], StatusCode.INVALID_EVENT_TYPE),
        ([{"event_type": "2", "subscribe": True}], StatusCode.INVALID_EVENT_TYPE),
        ([{"event_type": 2, "subscribe": "yes"}], StatusCode.INVALID_EVENT_SUBSCRIBE),
    ],
)
def test_a_subscription_that_cannot_be_is_a_complaint(events: object, complaint: StatusCode) -> None:
    [effect] = say(joined(), SIGNALING, msg_type=5, events=events)
    assert isinstance(effect, ProtocolViolation)
    assert effect.status is complaint


def test_events_go_to_subscribers_only_but_1_and_7_to_everybody() -> None:
    protocol = joined()
    event = {"event_type": 2, "timestamp": 5, "user_id": 1}
    assert protocol.event(2, event) == []
    say(protocol, SIGNALING, msg_type=5, events=[{"event_type": 2, "subscribe": True}])
    assert sent(protocol.event(2, event))[0]["event"] == event
    say(protocol, SIGNALING, msg_type=5, events=[{"event_type": 2, "subscribe": False}])
    assert protocol.event(2, event) == []
    assert len(protocol.event(7, {"event_type": 7})) == len(protocol.event(1, {"event_type": 1})) == 1


def test_session_and_stream_state_are_answered() -> None:
    protocol = joined()
    [session] = sent(say(protocol, SIGNALING, msg_type=10, rtms_session_id="session"))
    assert session == {"msg_type": 11, "rtms_session_id": "session", "state": SessionState.STARTED, "timestamp": 1000}
    [other] = sent(say(protocol, SIGNALING, msg_type=10, rtms_session_id="other"))
    assert (other["state"], other["status_code"]) == (0, StatusCode.INVALID_RTMS_SESSION_ID)
    [state] = sent(say(protocol, SIGNALING, msg_type=19, rtms_stream_id=STREAM))
    assert state == {"msg_type": 20, "state": StreamState.ACTIVE, "rtms_stream_id": STREAM, "timestamp": 1000}
    [stranger] = sent(say(protocol, SIGNALING, msg_type=19, rtms_stream_id="x"))
    assert stranger == {"msg_type": 20, "state": 0, "status_code": 2, "rtms_stream_id": "x", "timestamp": 1000}
    [nobody] = sent(say(protocol, SIGNALING, msg_type=19))
    assert nobody == {"msg_type": 20, "state": 0, "status_code": 2, "rtms_stream_id": None, "timestamp": 1000}


def test_the_app_closes_the_stream_with_21() -> None:
    protocol = joined()
    assert status(say(protocol, SIGNALING, msg_type=21, rtms_stream_id="x")) == 2
    effects = say(protocol, SIGNALING, msg_type=21, rtms_stream_id=STREAM)
    assert [message["msg_type"] for message in sent(effects)] == [22, 9, 8, 8]
    assert effects[-1] == SendWebhook("stopped", {"stop_reason": StopReason.STOP_BC_RECEIVER_REQUEST_CLOSE})
    assert protocol.connections == ()


def test_individual_video_one_at_a_time() -> None:
    protocol = stream()
    protocol.greet(SIGNALING, hello(1), 1.0)
    protocol.greet(MEDIA, hello(3, media_type=2, media_params={"video": {"data_opt": 4}}), 1.0)
    say(protocol, SIGNALING, msg_type=7)

    def ask(user_id: object, subscribe: object = True) -> list[ProtocolEffect]:
        return say(protocol, SIGNALING, msg_type=28, user_id=user_id, subscribe=subscribe)

    first = ask(7)
    assert sent(first) == [{"msg_type": 29, "user_id": 7, "status_code": 0, "reason": "OK", "timestamp": 1000}]
    assert first[1] == SelectVideo(MEDIA, 7)
    assert status(ask(7)) == StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION
    assert ask(8)[1] == SelectVideo(MEDIA, 8)
    assert len(ask(7, False)) == 1
    assert ask(8, False)[1] == SelectVideo(MEDIA, None)
    for user_id, subscribe in (("7", True), (-1, True), (2**32, True), (7, 1), (None, True)):
        assert status(ask(user_id, subscribe)) == StatusCode.INVALID_PAYLOAD


def test_individual_video_needs_data_opt_4() -> None:
    assert status(say(joined(2), SIGNALING, msg_type=28, user_id=7, subscribe=True)) == StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT


def test_keep_alives_go_to_every_socket_with_timestamp_and_a_small_sequence() -> None:
    protocol = joined(1, 8)
    assert protocol.deadline == 11.0
    requests = sent(protocol.tick(11.0), 12)
    assert requests == [{"msg_type": 12, "timestamp": 11000, "sequence": 1}] * 3
    for conn in protocol.connections:
        assert say(protocol, conn, msg_type=13, timestamp=11000) == []
        assert say(protocol, conn, msg_type=13, timestamp=11000, sequence=1) == []
    assert [message["sequence"] for message in sent(protocol.tick(21.0), 12)] == [2, 2, 2]
    assert sent(joined(keep_alive_sequence=False).tick(11.0), 12)[0].keys() == {"msg_type", "timestamp"}


def test_three_misses_on_signaling_interrupt_everything() -> None:
    protocol = joined(1, 8)
    for at in (11.0, 21.0, 31.0):
        assert len(sent(protocol.tick(at), 12)) == 3
        for conn in (2, 3):
            say(protocol, conn, msg_type=13, timestamp=1)
    effects = protocol.tick(41.0)
    assert effects[:3] == [CloseConnection(SIGNALING, None), CloseConnection(2, 1000), CloseConnection(3, 1000)]
    assert effects[3] == SendWebhook("interrupted")
    assert protocol.state is StreamState.INTERRUPTED
    assert protocol.deadline == 101.0
    assert protocol.tick(100.9) == []
    assert protocol.tick(101.0) == [SendWebhook("stopped", {"stop_reason": StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT})]


def test_three_misses_can_end_the_stream_at_once() -> None:
    protocol = joined(keep_alive_death="stop")
    for at in (11.0, 21.0, 31.0):
        protocol.tick(at)
    assert protocol.tick(41.0)[-1] == SendWebhook("stopped", {"stop_reason": StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT})


def test_three_misses_on_media_are_event_7_and_65_seconds() -> None:
    protocol = joined(1)
    for at in (11.0, 21.0, 31.0):
        protocol.tick(at)
        say(protocol, SIGNALING, msg_type=13, timestamp=1)
    effects = protocol.tick(41.0)
    assert CloseConnection(MEDIA, None) in effects
    assert [message["event"]["event_type"] for message in sent(effects, 6)] == [7]
    assert protocol.state is StreamState.ACTIVE
    assert protocol.awaits_media
    for at in (51.0, 61.0, 71.0, 81.0, 91.0, 101.0):
        protocol.tick(at)
        say(protocol, SIGNALING, msg_type=13, timestamp=1)
    assert protocol.tick(106.0)[-1] == SendWebhook("stopped", {"stop_reason": 19})


def test_a_media_socket_that_comes_back_needs_a_ready_and_then_flows() -> None:
    protocol = joined(1)
    protocol.lost(MEDIA, 20.0)
    assert protocol.awaits_media
    assert status(protocol.greet(OTHER, hello(3, media_type=1), 30.0)) == 0
    assert not protocol.awaits_media
    [flow] = [effect for effect in say(protocol, SIGNALING, 31.0, msg_type=7) if isinstance(effect, StartMedia)]
    assert flow.conn == OTHER


def test_a_silent_server_sends_no_keep_alive_and_counts_no_miss() -> None:
    protocol = joined()
    protocol.silent = True
    for at in range(11, 200, 10):
        assert protocol.tick(float(at)) == []


def test_signaling_that_comes_back_in_time() -> None:
    protocol = joined()
    assert protocol.lost(SIGNALING, 10.0)[-1] == SendWebhook("interrupted")
    assert status(protocol.greet(10, hello(1), 40.0)) == 0
    assert status(protocol.greet(11, hello(3, media_type=1), 40.0)) == 0
    effects = say(protocol, 10, 41.0, msg_type=7)
    assert [(message["msg_type"], message["state"]) for message in sent(effects)] == [(8, 1)]
    assert protocol.state is StreamState.ACTIVE


def test_nobody_in_sixty_seconds_is_reason_11() -> None:
    protocol = stream()
    assert protocol.deadline == 60.0
    assert protocol.tick(59.9) == []
    assert protocol.tick(60.0) == [SendWebhook("stopped", {"stop_reason": StopReason.STOP_BC_CONNECTION_TIMEOUT})]
    assert status(protocol.greet(SIGNALING, hello(1), 61.0)) == 2


def test_a_fail_over_breaks_every_socket_and_names_the_new_server() -> None:
    protocol = joined(1, 8)
    effects = protocol.fail_over("ws://new", {"all": "ws://new/all"}, 20.0)
    assert effects == [
        CloseConnection(1, None),
        CloseConnection(2, None),
        CloseConnection(3, None),
        SendWebhook("started", {"server_urls": "ws://new"}),
    ]
    answer = sent(protocol.greet(9, hello(1), 21.0))[0]
    assert answer["media_server"]["server_urls"] == {"all": "ws://new/all"}
    assert protocol.tick(80.0)[-1] == SendWebhook("stopped", {"stop_reason": 19})


def test_drops_on_zooms_side_break_without_a_close_frame() -> None:
    protocol = joined(1, 8)
    assert protocol.drop_media(protocol.identity.kinds, 5.0)[0] == CloseConnection(2, None)
    assert protocol.drop_signaling(6.0)[0] == CloseConnection(1, None)
    assert protocol.drop_signaling(6.0) == []


def test_a_session_ends_and_another_begins_in_the_same_stream() -> None:
    protocol = joined()
    stopped, started = sent(protocol.new_session("second", 5.0))
    assert (stopped["rtms_session_id"], stopped["state"]) == ("session", 5)
    assert (started["rtms_session_id"], started["state"]) == ("second", 2)
    assert stream().new_session("second", 5.0) == []


def test_unknown_messages_and_those_of_the_other_socket_are_complaints() -> None:
    protocol = joined()
    for conn, msg_type in ((SIGNALING, 99), (SIGNALING, 3), (MEDIA, 7), (MEDIA, 5), (SIGNALING, 14)):
        [complaint] = say(protocol, conn, msg_type=msg_type)
        assert isinstance(complaint, ProtocolViolation)
        assert complaint.status is StatusCode.INVALID_MESSAGE_TYPE
    assert say(protocol, 77, msg_type=7) == []


def test_the_table_of_messages_names_only_what_an_app_sends() -> None:
    to_zoom = {1, 5, 7, 10, 13, 19, 21, 28}
    assert set(StreamProtocol.ACCEPTS[SocketRole.SIGNALING]) == to_zoom
    assert set(StreamProtocol.ACCEPTS[SocketRole.MEDIA]) == {MessageType.DATA_HAND_SHAKE_REQ, MessageType.KEEP_ALIVE_RESP}


TO_STATE = {
    StreamState.INACTIVE: lambda: stream(),
    StreamState.ACTIVE: lambda: joined(),
    StreamState.INTERRUPTED: lambda: _after(joined(), lambda protocol: protocol.lost(SIGNALING, 5.0)),
    StreamState.PAUSED: lambda: _after(joined(), lambda protocol: protocol.pause(5.0)),
    StreamState.RESUMED: lambda: _after(_after(joined(), lambda protocol: protocol.pause(5.0)), lambda protocol: protocol.resume(6.0)),
    StreamState.TERMINATED: lambda: _after(joined(), lambda protocol: protocol.stop(6, 5.0)),
}
PULL = {
    StreamTrigger.FAIL_OVER: lambda protocol: protocol.fail_over("ws://new", {}, 7.0),
    StreamTrigger.PAUSE: lambda protocol: protocol.pause(7.0),
    StreamTrigger.RESUME: lambda protocol: protocol.resume(7.0),
    StreamTrigger.STOP: lambda protocol: protocol.stop(6, 7.0),
    StreamTrigger.SIGNALING_LOST: lambda protocol: protocol.drop_signaling(7.0),
}


def _after(protocol: StreamProtocol, act: Any) -> StreamProtocol:
    act(protocol)
    return protocol


# There is no signaling socket to lose where nobody has come, nobody has come back, or all is over.
WITHOUT_SIGNALING = (StreamState.INACTIVE, StreamState.INTERRUPTED, StreamState.TERMINATED)
MOVES = [
    (state, trigger)
    for state in TO_STATE
    for trigger in PULL
    if trigger is not StreamTrigger.SIGNALING_LOST or state not in WITHOUT_SIGNALING
]


@pytest.mark.parametrize(("state", "trigger"), MOVES, ids=lambda value: value.name)
def test_every_state_moves_as_the_table_says(state: StreamState, trigger: StreamTrigger) -> None:
    protocol = TO_STATE[state]()
    assert protocol.state is state
    PULL[trigger](protocol)
    target = TRANSITIONS[state].get(trigger, state)
    # TERMINATING is passed through: the sockets are closed in the same breath.
    assert protocol.state is (StreamState.TERMINATED if target is StreamState.TERMINATING else target)


def test_read_message_refuses_what_is_not_one_small_object() -> None:
    from rtms_simulator.errors import UnreadableMessageError

    deep, large = b"[" * 60_000, b" " * 70_000
    for raw in (b"", b"[]", b"1", b"{", b"\xff\xfe", b'{"msg_type":"1"}', b'{"msg_type":true}', b'{"msg_type":1.5}', deep, large):
        with pytest.raises(UnreadableMessageError):
            read_message(raw)
    assert read_message('{"msg_type":1,"x":"\u00eb"}') == {"msg_type": 1, "x": "ë"}


# What Zoom has since July and November 2026


@pytest.mark.parametrize(("form", "reason"), [("words", "invalid signature"), ("names", "INVALID_SIGNATURE")])
def test_a_refusal_says_its_reason_in_words_or_as_a_name(form: str, reason: str) -> None:
    for kind in (1, 3):
        [answer] = sent(stream(refusal_reasons=form).greet(SIGNALING, hello(kind, signature="0" * 64), 1.0))
        assert answer["reason"] == reason


def test_a_second_signaling_connection_may_displace_the_first() -> None:
    protocol = joined(1, second_signaling="displace")
    effects = protocol.greet(OTHER, hello(1), 2.0)
    assert effects[:2] == [CloseConnection(SIGNALING, 1000), CloseConnection(MEDIA, 1000)]
    assert status(effects) == 0
    assert not [effect for effect in effects if isinstance(effect, SendWebhook)]
    assert protocol.signaling == OTHER
    assert status(protocol.greet(9, hello(3, media_type=1), 3.0)) == 0
    effects = say(protocol, OTHER, 4.0, msg_type=7)
    assert [message["state"] for message in sent(effects, 8)] == [StreamState.ACTIVE]
    assert [effect.conn for effect in effects if isinstance(effect, StartMedia)] == [9]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"protocol_version": 2}, 4),
        ({"protocol_version": "1"}, 4),
        ({"protocol_version": True}, 4),
        ({"srt_passphrase": "secret"}, 4),
        ({"transport": "SRT"}, 4),
        ({"transmission_protocol": 3}, 4),
        ({"transmission_protocol": {"type": "srt"}}, 4),
    ],
)
@pytest.mark.parametrize("kind", [1, 3])
def test_another_version_or_transport_is_refused_and_the_stream_lives(fields: dict[str, Any], refused: int, kind: int) -> None:
    protocol = joined(8)
    assert status(protocol.greet(OTHER, hello(kind, media_type=1, **fields), 2.0)) == refused
    assert protocol.state is StreamState.ACTIVE


def test_the_status_of_a_version_and_of_a_transport_are_switches() -> None:
    protocol = stream(
        unsupported_version_status=StatusCode.INVALID_MESSAGE_TYPE, unsupported_transport_status=StatusCode.INVALID_MEDIA_PARAMS
    )
    assert status(protocol.greet(SIGNALING, hello(1, protocol_version=2), 1.0)) == 1
    assert status(protocol.greet(SIGNALING, hello(1, srt=True), 1.0)) == 17
    assert status(protocol.greet(SIGNALING, hello(1, transport="websocket", srt=False), 1.0)) == 0


def test_encryption_is_answered_with_none_and_nonsense_with_status_4() -> None:
    protocol = joined(8)
    [answer] = sent(protocol.greet(OTHER, hello(3, media_type=1, payload_encryption=True), 2.0))
    assert (answer["status_code"], answer["payload_encrypted"]) == (0, False)
    assert status(protocol.greet(9, hello(3, media_type=2, payload_encryption="yes"), 2.0)) == 4
    assert status(protocol.greet(9, hello(3, media_type=2, payload_encryption=1), 2.0)) == 4


def individual_video(streams: int) -> StreamProtocol:
    protocol = stream(individual_video_streams=streams)
    protocol.greet(SIGNALING, hello(1), 1.0)
    return protocol


def open_video(protocol: StreamProtocol, conn: int, data_opt: int = 4) -> int:
    return status(protocol.greet(conn, hello(3, media_type=2, media_params={"video": {"data_opt": data_opt}}), 1.0))


def test_several_individual_videos_have_a_connection_each() -> None:
    protocol = individual_video(3)
    assert [open_video(protocol, conn) for conn in (2, 3, 4, 5)] == [0, 0, 0, 16]
    assert open_video(protocol, 6, data_opt=3) == 16
    say(protocol, SIGNALING, msg_type=7)
    selected = [say(protocol, SIGNALING, msg_type=28, user_id=user, subscribe=True)[1] for user in (71, 72, 73, 74)]
    assert selected == [SelectVideo(2, 71), SelectVideo(3, 72), SelectVideo(4, 73), SelectVideo(2, 74)]
    assert say(protocol, SIGNALING, msg_type=28, user_id=72, subscribe=False)[1] == SelectVideo(3, None)
    assert status(say(protocol, SIGNALING, msg_type=28, user_id=73, subscribe=True)) == StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION
    protocol.lost(4, 2.0)
    assert say(protocol, SIGNALING, msg_type=28, user_id=73, subscribe=True)[1] == SelectVideo(3, 73)


def test_individual_video_that_was_chosen_before_ready_starts_with_ready() -> None:
    protocol = individual_video(1)
    open_video(protocol, MEDIA)
    assert len(say(protocol, SIGNALING, msg_type=28, user_id=7, subscribe=True)) == 1
    [flow] = [effect for effect in say(protocol, SIGNALING, msg_type=7) if isinstance(effect, StartMedia)]
    assert flow.user_id == 7


def test_individual_video_is_chosen_again_after_its_socket_broke() -> None:
    protocol = individual_video(1)
    open_video(protocol, MEDIA)
    say(protocol, SIGNALING, msg_type=7)
    say(protocol, SIGNALING, msg_type=28, user_id=7, subscribe=True)
    protocol.lost(MEDIA, 2.0)
    assert status(say(protocol, SIGNALING, msg_type=28, user_id=7, subscribe=True)) == StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT
    open_video(protocol, OTHER)
    assert [flow.user_id for flow in say(protocol, SIGNALING, msg_type=7) if isinstance(flow, StartMedia)] == [None]
    assert say(protocol, SIGNALING, msg_type=28, user_id=7, subscribe=True)[1] == SelectVideo(OTHER, 7)


@pytest.mark.parametrize(("while_away", "state"), [((), 5), (("resume",), 1), (("resume", "pause"), 5)])
def test_a_pause_lasts_over_a_reconnect(while_away: tuple[str, ...], state: int) -> None:
    protocol = joined(1)
    protocol.pause(2.0)
    protocol.drop_signaling(3.0)
    for what in while_away:
        assert getattr(protocol, what)(3.5) == []
    protocol.greet(SIGNALING, hello(1), 4.0)
    protocol.greet(MEDIA, hello(3, media_type=1), 4.0)
    [update] = sent(say(protocol, SIGNALING, 5.0, msg_type=7), 8)
    assert update["state"] == state
    assert protocol.flowing is (state == 1)


def test_a_subscription_by_event_code_counts_as_one_by_event_type() -> None:
    protocol = joined()
    say(protocol, SIGNALING, msg_type=5, events=[{"event_code": 2, "subscribe": True}])
    assert len(protocol.event(2, {"event_type": 2})) == 1
