"""The RTMS client without I/O: scripted conversations, and anything at all."""

import base64
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.recall.rtms.actions import (
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
from rtms_simulator.recall.rtms.client import RtmsClient
from rtms_simulator.recall.rtms.codes import CUT_SHORT, PARTICIPANT_NOTICES, STATUS_NAMES
from rtms_simulator.recall.rtms.states import CONNECTED, PHASE_TRANSITIONS, SOCKET_TRANSITIONS, Input, Phase, State, Timings, Turn

# Reference C.1's golden vector: the signature Zoom's own SDK made for these ids.
REQUEST = StreamRequest(
    meeting_uuid="4444AAAiAAAAAiAiAiiAii==",
    rtms_stream_id="609340fb2a7946909659956c8aa9250c",
    server_urls="wss://rtms.example:443",
    signature="637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68",
)
AUDIO = {"content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 1, "send_rate": 20}
WANTED = {"audio": AUDIO, "transcript": {"content_type": 5}}
T0 = 1_795_334_284_858
NOW = T0 / 1000
MEDIA_URLS = {"audio": "wss://media/audio", "transcript": "wss://media/transcript", "all": "wss://media/all"}


class Conversation:
    """A client and the time; every step returns what the client wants done."""

    def __init__(self, wanted=None, request=REQUEST, timings=None):
        self.now = NOW
        self.client = RtmsClient(request, WANTED if wanted is None else wanted, timings or Timings())

    def start(self):
        return self.client.start(self.now)

    def opened(self, role):
        return self.client.opened(role, self.now)

    def say(self, role, **message):
        return self.client.message(role, json.dumps(message), self.now)

    def closed(self, role, code):
        return self.client.closed(role, code, self.now)

    def wait(self, seconds):
        """Time passes; the client is called at each of its deadlines, as its driver would."""
        end, out = self.now + seconds, []
        while (deadline := self.client.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            out += self.client.tick(self.now)
        self.now = end
        return out + self.client.tick(end)

    def accept_signaling(self, urls=None):
        server = {"server_urls": MEDIA_URLS if urls is None else urls}
        return self.say("signaling", msg_type=2, protocol_version=1, sequence=1, status_code=0, reason="", media_server=server)

    def accept(self, role, **params):
        return self.say(role, msg_type=4, protocol_version=1, status_code=0, reason="", payload_encrypted=False, media_params=params)

    def join(self, urls=None):
        """All the way to live; returns the actions of the last step."""
        self.start()
        self.opened("signaling")
        roles = [action.role for action in self.accept_signaling(urls) if isinstance(action, OpenSocket)]
        out = []
        for role in roles:
            self.opened(role)
            out = self.accept(role, **({"audio": AUDIO} if role in ("audio", "all") else {}))
        assert self.client.phase is Phase.LIVE
        return out


def sent(actions, role=None):
    return [json.loads(action.text) for action in actions if isinstance(action, SendText) and role in (None, action.role)]


def finished(actions):
    return next((action for action in actions if isinstance(action, StreamFinished)), None)


def audio(timestamp=T0, data=b"\x01\x02", **content):
    encoded = base64.b64encode(data).decode()
    return {"msg_type": 14, "content": {"user_id": 0, "data": encoded, "length": len(data), "timestamp": timestamp} | content}


class TestJoining:
    def test_signaling_is_opened_at_the_url_verbatim_also_when_it_is_a_list(self):
        request = StreamRequest("m", "s", "wss://a.example,wss://b.example", "sig")
        assert Conversation(request=request).start() == [OpenSocket("signaling", "wss://a.example,wss://b.example")]

    def test_the_signaling_handshake_carries_the_signature_it_was_given(self):
        talk = Conversation()
        talk.start()
        assert sent(talk.opened("signaling")) == [
            {
                "msg_type": 1,
                "protocol_version": 1,
                "sequence": 1,
                "meeting_uuid": REQUEST.meeting_uuid,
                "rtms_stream_id": REQUEST.rtms_stream_id,
                "signature": REQUEST.signature,
            }
        ]

    def test_each_wanted_kind_that_is_offered_gets_its_own_socket(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        assert talk.accept_signaling() == [OpenSocket("audio", "wss://media/audio"), OpenSocket("transcript", "wss://media/transcript")]
        [shake] = sent(talk.opened("audio"))
        assert (shake["msg_type"], shake["media_type"], shake["media_params"]) == (3, 1, {"audio": AUDIO})
        assert shake["signature"] == REQUEST.signature
        assert shake["payload_encryption"] is False

    def test_one_socket_carries_everything_where_only_all_is_offered(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        assert talk.accept_signaling({"all": "wss://media/all"}) == [OpenSocket("all", "wss://media/all")]
        [shake] = sent(talk.opened("all"))
        assert (shake["media_type"], shake["media_params"]) == (32, WANTED)

    def test_kinds_without_a_scope_are_left_out_and_remembered(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        assert talk.accept_signaling({"audio": "wss://media/audio", "all": "wss://media/all"}) == [OpenSocket("audio", "wss://media/audio")]
        assert talk.client.unavailable == {"transcript": "zoom_rtms_media_not_offered"}

    @pytest.mark.parametrize(
        "server", [None, {}, {"server_urls": None}, {"server_urls": {"audio": 3}}, {"server_urls": {"video": "wss://v"}}]
    )
    def test_an_offer_of_nothing_usable_ends_it(self, server):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        end = finished(talk.say("signaling", msg_type=2, status_code=0, media_server=server))
        assert end == StreamFinished("zoom_rtms_no_media_server", None, joined=False)

    def test_ready_and_subscription_follow_once_all_media_are_up(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("audio")
        assert talk.accept("audio", audio=AUDIO) == []
        talk.opened("transcript")
        actions = talk.accept("transcript")
        ready, subscription = sent(actions, "signaling")
        assert ready == {"msg_type": 7, "rtms_stream_id": REQUEST.rtms_stream_id}
        assert subscription["msg_type"] == 5
        assert [event["event_type"] for event in subscription["events"]] == [2, 3, 4, 5, 6, 8, 9]
        assert all(event["subscribe"] is True for event in subscription["events"])
        assert actions[-1] == StreamReady(first=True)

    def test_a_media_socket_that_hangs_does_not_keep_the_others_waiting(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("audio")
        talk.accept("audio", audio=AUDIO)
        assert StreamReady(first=True) in talk.wait(10)

    def test_a_media_socket_that_comes_up_late_is_not_kept_waiting_for_the_others(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        assert StreamReady(first=True) not in talk.wait(12)
        talk.opened("audio")
        assert StreamReady(first=True) in talk.accept("audio", audio=AUDIO)

    @pytest.mark.parametrize(("status", "name"), STATUS_NAMES.items())
    def test_every_refusal_of_the_signaling_handshake_becomes_a_sub_code(self, status, name):
        talk = Conversation()
        talk.start()
        out = []
        while finished(out) is None:
            talk.opened("signaling")
            out = talk.say("signaling", msg_type=2, status_code=status, reason="no") or talk.wait(6)
            out += talk.wait(6)
        assert finished(out) == StreamFinished(f"zoom_rtms_{name}", None, joined=False)

    @pytest.mark.parametrize("status", [48, 999, 10**30, -1])
    def test_an_unknown_refusal_is_a_refusal(self, status):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        end = finished(talk.say("signaling", msg_type=2, status_code=status))
        assert end is not None
        assert end.sub_code in (f"zoom_rtms_status_{status}", "zoom_rtms_unknown_status")

    def test_a_connection_that_is_still_there_is_waited_for_three_times(self):
        talk = Conversation()
        talk.start()
        opens = 1
        for wait in (1.5, 3.0, 6.0):
            talk.opened("signaling")
            talk.say("signaling", msg_type=2, status_code=8)
            opens += sum(isinstance(action, OpenSocket) for action in talk.wait(wait))
        assert opens == 4
        talk.opened("signaling")
        assert finished(talk.say("signaling", msg_type=2, status_code=8)) == StreamFinished(
            "zoom_rtms_duplicate_signal_request", None, False
        )

    def test_a_close_instead_of_an_answer_is_a_refusal(self):
        # What Zoom is reported to do with a bad signature (docs/evidence/zoom.md C5).
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        assert finished(talk.closed("signaling", 1000)) == StreamFinished("zoom_rtms_closed_during_handshake", None, joined=False)

    def test_a_server_that_cannot_be_reached_is_tried_four_times(self):
        talk = Conversation()
        talk.start()
        for wait in (1.5, 3.0, 6.0):
            assert talk.closed("signaling", None) == []
            assert talk.wait(wait) == [OpenSocket("signaling", REQUEST.server_urls)]
        assert finished(talk.closed("signaling", None)) == StreamFinished("zoom_rtms_connection_failed", None, joined=False)

    def test_a_server_that_never_answers_is_given_up(self):
        talk = Conversation()
        out = talk.start()
        for _ in range(4):
            talk.opened("signaling")
            out = talk.wait(16.5)
        assert finished(out) == StreamFinished("zoom_rtms_handshake_timeout", None, joined=False)

    def test_a_refused_kind_is_left_out(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("audio")
        talk.accept("audio", audio=AUDIO)
        talk.opened("transcript")
        actions = talk.say("transcript", msg_type=4, status_code=12, reason="not supported")
        assert CloseSocket("transcript") in actions
        assert StreamReady(first=True) in actions
        assert talk.client.unavailable == {"transcript": "zoom_rtms_media_type_transcript_not_support"}

    def test_all_kinds_refused_is_the_end(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling({"all": "wss://media/all"})
        talk.opened("all")
        end = finished(talk.say("all", msg_type=4, status_code=3))
        assert end == StreamFinished("zoom_rtms_invalid_signature", None, joined=False)

    def test_other_samples_than_those_asked_for_are_not_recorded(self):
        talk = Conversation({"audio": AUDIO})
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("audio")
        end = finished(talk.accept("audio", audio=AUDIO | {"sample_rate": 3}))
        assert end == StreamFinished("zoom_rtms_unexpected_media_params", None, joined=False)


class TestKeepingAlive:
    @pytest.mark.parametrize("role", ["signaling", "audio"])
    def test_every_request_is_answered_on_its_socket_with_its_numbers(self, role):
        talk = Conversation()
        talk.join()
        actions = talk.say(role, msg_type=12, timestamp=T0, sequence=7)
        assert [action.role for action in actions] == [role]
        assert sent(actions) == [{"msg_type": 13, "timestamp": T0, "sequence": 7}]
        assert sent(talk.say(role, msg_type=12, timestamp=T0)) == [{"msg_type": 13, "timestamp": T0}]

    def test_a_request_during_the_handshake_is_answered_too(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        assert sent(talk.say("signaling", msg_type=12, timestamp=T0)) == [{"msg_type": 13, "timestamp": T0}]

    def test_a_socket_silent_for_65_s_is_opened_again(self):
        talk = Conversation()
        talk.join()
        talk.wait(64.9)
        talk.say("signaling", msg_type=12, timestamp=T0)
        talk.say("transcript", msg_type=12, timestamp=T0)
        actions = talk.wait(0.2)
        assert actions == [CloseSocket("audio"), SocketLost("audio")]
        assert OpenSocket("audio", "wss://media/audio") in talk.wait(0.5)


class TestMedia:
    def test_audio_is_decoded(self):
        talk = Conversation()
        talk.join()
        assert talk.say("audio", **audio(data=b"\x01\x02\x03\x04")) == [Packet("audio", 0, None, b"\x01\x02\x03\x04", T0)]

    def test_any_kind_is_taken_from_any_media_socket_in_text_or_binary(self):
        talk = Conversation()
        talk.join()
        packet = json.dumps(audio()).encode()
        assert talk.client.message("transcript", packet, talk.now) == [Packet("audio", 0, None, b"\x01\x02", T0)]

    def test_captions_carry_their_span(self):
        talk = Conversation()
        talk.join()
        content = {"user_id": 16778240, "user_name": "Zoë", "data": "bonjour", "timestamp": T0, "language": 13}
        [caption] = talk.say("transcript", msg_type=17, content=content | {"start_time": T0 + 5, "end_time": T0 + 900, "attribute": 1})
        assert caption == Caption(16778240, "Zoë", "bonjour", T0 + 5, T0 + 900, 13, 1)
        [caption] = talk.say("transcript", msg_type=17, content=content | {"start_time": 5, "end_time": 905})
        assert caption == Caption(16778240, "Zoë", "bonjour", T0, T0 + 900, 13, 0)
        [caption] = talk.say("transcript", msg_type=17, content=content)
        assert caption == Caption(16778240, "Zoë", "bonjour", T0, T0, 13, 0)

    def test_contact_center_parties_are_numbered_by_their_channel(self):
        talk = Conversation()
        talk.join()
        content = {"data": "AAA=", "timestamp": T0}
        who = []
        for channel in ("consumer", "agent", "consumer"):
            [packet] = talk.say("audio", msg_type=14, content=content | {"channel_id": channel})
            who.append((packet.user_id, packet.user_name))
        assert who == [(1, "consumer"), (2, "agent"), (1, "consumer")]

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"data": "*not base64*"},
            {"data": "AA*AA=="},
            {"data": "AAA"},
            {"data": 5},
            {"timestamp": "soon"},
            {"timestamp": 10**18},
            {"timestamp": -1},
            {"timestamp": True},
            {"user_id": "nobody"},
            {"user_id": -1},
            {"user_id": None},
        ],
    )
    def test_a_spoiled_packet_is_counted_and_left_out(self, spoiled):
        talk = Conversation()
        talk.join()
        assert talk.say("audio", msg_type=14, content=audio()["content"] | spoiled) == []
        assert talk.client.counts["malformed"] == 1

    @pytest.mark.parametrize(
        "raw", ["", "{", "[]", "3", "null", b"\xff\xfe", "[" * 100_000, '{"msg_type": "14"}', '{"msg_type": 14}', b"\x00" * 9]
    )
    def test_garbage_is_counted(self, raw):
        talk = Conversation()
        talk.join()
        assert talk.client.message("audio", raw, talk.now) == []
        assert talk.client.counts["malformed"] == 1

    def test_media_before_the_handshake_and_unasked_kinds_are_not_taken(self):
        talk = Conversation()
        talk.start()
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("audio")
        assert talk.say("audio", **audio()) == []
        talk.accept("audio", audio=AUDIO)
        assert talk.say("audio", **(audio() | {"msg_type": 15})) == []
        assert talk.client.counts["unexpected"] == 2


class TestEvents:
    @pytest.mark.parametrize(("number", "what"), PARTICIPANT_NOTICES.items())
    def test_what_happens_to_participants_is_told(self, number, what):
        talk = Conversation()
        talk.join()
        person = {"user_id": 7, "user_name": "Ada"}
        event = {"event_type": number, "timestamp": T0} | ({"participants": [person]} if number in (3, 4, 8, 9) else person)
        assert talk.say("signaling", msg_type=6, event=event) == [ParticipantNotice(what, 7, "Ada", T0)]

    def test_a_string_id_is_an_id(self):
        talk = Conversation()
        talk.join()
        event = {"event_type": 3, "timestamp": T0, "participants": [{"user_id": "16778240", "user_name": "Ada"}]}
        assert talk.say("signaling", msg_type=6, event=event) == [ParticipantNotice("join", 16778240, "Ada", T0)]

    def test_a_share_ends_without_naming_anybody(self):
        talk = Conversation()
        talk.join()
        assert talk.say("signaling", msg_type=6, event={"event_type": 6, "timestamp": T0}) == [
            ParticipantNotice("screenshare_off", None, None, T0)
        ]

    def test_contact_center_steps_with_colliding_numbers_are_no_webcams(self):
        talk = Conversation()
        talk.join()
        event = {"event_type": 8, "event_ts": T0, "participant_info": {"channel_id": "consumer"}}
        assert talk.say("signaling", msg_type=6, event=event) == []

    def test_pauses_are_told_once(self):
        talk = Conversation()
        talk.join()
        assert talk.say("signaling", msg_type=9, rtms_session_id="x", state=3, timestamp=T0) == [PauseChanged(True)]
        assert talk.say("signaling", msg_type=8, state=5, timestamp=T0) == []
        assert talk.say("signaling", msg_type=8, state=6, timestamp=T0) == [PauseChanged(False)]


class TestComingBack:
    def test_a_lost_media_socket_alone_comes_back(self):
        talk = Conversation()
        talk.join()
        assert talk.closed("audio", 1006) == [SocketLost("audio")]
        assert talk.wait(0.5) == [OpenSocket("audio", "wss://media/audio")]
        talk.opened("audio")
        assert sent(talk.accept("audio", audio=AUDIO)) == [{"msg_type": 7, "rtms_stream_id": REQUEST.rtms_stream_id}]
        assert talk.say("audio", **audio()) != []

    def test_tries_back_off_from_3_to_30_s_inside_the_window(self):
        talk = Conversation()
        talk.join()
        talk.closed("audio", 1011)
        moments, last = [], talk.now
        while (deadline := talk.client.deadline) is not None and deadline < NOW + 65:
            talk.now = deadline
            talk.say("signaling", msg_type=12, timestamp=T0)
            talk.say("transcript", msg_type=12, timestamp=T0)
            if any(isinstance(action, OpenSocket) for action in talk.client.tick(talk.now)):
                moments.append(round(talk.now - last, 3))
                last = talk.now
                talk.closed("audio", None)
        assert moments == [0.5, 3.0, 6.0, 12.0, 24.0]

    def test_a_media_socket_not_back_after_65_s_is_given_up_and_the_rest_goes_on(self):
        talk = Conversation()
        talk.join()
        talk.closed("audio", 1006)
        for _ in range(14):
            actions = talk.wait(5)
            talk.say("signaling", msg_type=12, timestamp=T0)
            talk.say("transcript", msg_type=12, timestamp=T0)
            assert finished(actions) is None
        assert talk.client.unavailable == {"audio": "zoom_rtms_handshake_timeout"}
        assert talk.client.phase is Phase.LIVE

    def test_event_7_brings_back_the_socket_that_stays_silent(self):
        talk = Conversation()
        talk.join()
        talk.wait(8)
        talk.say("transcript", msg_type=12, timestamp=T0)
        talk.say("signaling", msg_type=6, event={"event_type": 7, "timestamp": T0})
        assert talk.wait(7) == [CloseSocket("audio"), SocketLost("audio")]
        assert talk.wait(0.5) == [OpenSocket("audio", "wss://media/audio")]

    def test_with_signaling_everything_comes_back(self):
        talk = Conversation()
        talk.join()
        actions = talk.closed("signaling", 1006)
        assert set(actions) == {SocketLost("signaling"), CloseSocket("audio"), CloseSocket("transcript")}
        assert talk.client.phase is Phase.RESTORING
        assert talk.wait(0.5) == [OpenSocket("signaling", REQUEST.server_urls)]
        [shake] = sent(talk.opened("signaling"))
        assert (shake["msg_type"], shake["sequence"]) == (1, 1)
        roles = [action.role for action in talk.accept_signaling()]
        assert roles == ["audio", "transcript"]
        for role in roles:
            talk.opened(role)
            out = talk.accept(role)
        assert StreamReady(first=False) in out

    def test_a_kind_that_was_given_up_may_come_back_with_signaling(self):
        talk = Conversation()
        talk.join()
        talk.closed("transcript", 1006)
        for _ in range(14):
            talk.wait(5)
            talk.say("signaling", msg_type=12, timestamp=T0)
            talk.say("audio", msg_type=12, timestamp=T0)
        assert talk.client.unavailable == {"transcript": "zoom_rtms_handshake_timeout"}
        talk.closed("signaling", 1006)
        talk.wait(0.5)
        talk.opened("signaling")
        talk.accept_signaling()
        talk.opened("transcript")
        talk.accept("transcript")
        assert talk.client.unavailable == {}

    def test_signaling_not_back_after_60_s_is_the_end(self):
        talk = Conversation()
        talk.join()
        talk.closed("signaling", 1006)
        assert finished(talk.wait(59.9)) is None
        end = finished(talk.wait(0.2))
        assert end is not None
        assert (end.sub_code, end.joined) == ("zoom_rtms_handshake_timeout", True)


class TestTheEnd:
    def test_terminated_ends_it_once_the_media_sockets_are_read(self):
        talk = Conversation()
        talk.join()
        assert finished(talk.say("signaling", msg_type=8, state=4, reason=6, timestamp=T0)) is None
        assert talk.say("audio", **audio()) == [Packet("audio", 0, None, b"\x01\x02", T0)]
        talk.closed("audio", 1000)
        assert talk.closed("transcript", 1000) == [StreamFinished(None, 6, joined=True)]
        assert talk.client.deadline is None

    def test_media_sockets_left_open_and_silent_are_closed(self):
        talk = Conversation()
        talk.join()
        talk.say("signaling", msg_type=8, state=4, reason=6, timestamp=T0)
        actions = talk.wait(2)
        assert {CloseSocket("audio"), CloseSocket("transcript")} <= set(actions)
        assert finished(actions) == StreamFinished(None, 6, joined=True)

    def test_media_that_never_stop_are_left_in_the_end(self):
        talk = Conversation()
        talk.join()
        talk.say("signaling", msg_type=8, state=4, reason=6, timestamp=T0)
        for _ in range(30):
            assert talk.client.phase is Phase.DRAINING
            talk.say("audio", **audio())
            talk.wait(1)
        assert talk.client.finished == StreamFinished(None, 6, joined=True)

    @pytest.mark.parametrize(("reason", "sub_code"), [*CUT_SHORT.items(), (1, None), (6, None), (8, None), (20, None), (99, None)])
    def test_the_stop_reason_tells_whether_it_was_cut_short(self, reason, sub_code):
        talk = Conversation()
        talk.join()
        talk.say("signaling", msg_type=9, rtms_session_id="x", state=5, stop_reason=reason, timestamp=T0)
        talk.say("signaling", msg_type=8, state=3, timestamp=T0)
        talk.say("signaling", msg_type=8, state=4, timestamp=T0)
        assert finished(talk.wait(2)) == StreamFinished(sub_code, reason, joined=True)

    def test_an_orderly_close_of_signaling_is_an_end(self):
        talk = Conversation()
        talk.join()
        talk.closed("signaling", 1000)
        assert finished(talk.wait(2)) == StreamFinished(None, None, joined=True)

    def test_another_streams_end_is_not_ours(self):
        talk = Conversation()
        talk.join()
        assert talk.say("signaling", msg_type=8, state=4, reason=6, rtms_stream_id="other", timestamp=T0) == []

    def test_a_stopped_session_may_be_followed_by_another(self):
        talk = Conversation()
        talk.join()
        talk.say("signaling", msg_type=9, rtms_session_id="x", state=5, stop_reason=1, timestamp=T0)
        assert talk.client.phase is Phase.LIVE

    def test_displaced_it_leaves_without_ending_the_stream_for_the_other(self):
        talk = Conversation()
        talk.join()
        actions = talk.client.leave("zoom_rtms_displaced")
        assert {action.role for action in actions if isinstance(action, CloseSocket)} == {"signaling", "audio", "transcript"}
        assert sent(actions) == []
        assert actions[-1] == StreamFinished("zoom_rtms_displaced", None, joined=True)

    def test_after_the_end_nothing_more_is_wanted(self):
        talk = Conversation()
        talk.join()
        talk.client.leave(None)
        assert talk.start() == talk.opened("audio") == talk.closed("signaling", 1006) == talk.wait(1000) == []
        assert talk.say("audio", **audio()) == []


class TestTables:
    def test_every_state_is_reached_and_only_off_is_final(self):
        assert {state for state, _ in SOCKET_TRANSITIONS} | {State.OFF} == set(State) == set(SOCKET_TRANSITIONS.values()) | {State.IDLE}

    def test_every_live_state_of_a_socket_can_be_quit(self):
        assert all((state, Input.QUIT) in SOCKET_TRANSITIONS for state in set(State) - {State.OFF})

    def test_every_phase_but_the_last_can_end(self):
        assert all(PHASE_TRANSITIONS[phase, Turn.END] is Phase.ENDED for phase in set(Phase) - {Phase.ENDED})

    def test_every_reference_status_has_a_name(self):
        assert set(STATUS_NAMES) == set(range(1, 48))


# ------------------------------------------------------------------------------------------ anything at all

ROLES = st.sampled_from(["signaling", "audio", "transcript", "all", "video"])
SMALL = st.one_of(st.none(), st.booleans(), st.integers(-2, 50), st.just(T0), st.floats(), st.text(max_size=4), st.integers())
VALUES = st.recursive(
    SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6
)
FIELDS = st.sampled_from(
    [
        "status_code",
        "media_server",
        "media_params",
        "event",
        "content",
        "state",
        "reason",
        "stop_reason",
        "timestamp",
        "sequence",
        "rtms_stream_id",
    ]
)
MESSAGES = st.builds(lambda kind, rest: {"msg_type": kind} | rest, st.integers(0, 30), st.dictionaries(FIELDS, VALUES, max_size=4))
SENSIBLE = st.sampled_from(
    [
        ("signaling", {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": MEDIA_URLS}}),
        ("signaling", {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": {"all": "wss://all"}}}),
        ("signaling", {"msg_type": 2, "status_code": 8}),
        ("audio", {"msg_type": 4, "status_code": 0}),
        ("transcript", {"msg_type": 4, "status_code": 0}),
        ("all", {"msg_type": 4, "status_code": 0}),
        ("audio", {"msg_type": 4, "status_code": 16}),
        ("signaling", {"msg_type": 6, "event": {"event_type": 7, "timestamp": T0}}),
        ("signaling", {"msg_type": 8, "state": 3, "timestamp": T0}),
        ("signaling", {"msg_type": 8, "state": 4, "reason": 6, "timestamp": T0}),
        ("audio", audio()),
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("opened"), ROLES),
    st.tuples(st.just("closed"), ROLES, st.sampled_from([None, 1000, 1006, 1011])),
    SENSIBLE.map(lambda pair: ("message", *pair)),
    st.tuples(st.just("message"), ROLES, MESSAGES),
    st.tuples(st.just("raw"), ROLES, st.binary(max_size=20)),
    st.tuples(st.just("wait"), st.floats(0, 70)),
    st.tuples(st.just("follow")),
    st.tuples(st.just("join")),
    st.tuples(st.just("hum"), ROLES),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40), st.booleans())
def test_whatever_comes_it_never_raises_and_always_ends(steps, leave):
    """Any messages in any order: no exception, no action for a socket that is not there, and an end when everything falls silent."""
    talk = Conversation()
    connected = set()
    ended = []

    def check(actions):
        for action in actions:
            assert not ended, f"{action} after the end"
            if isinstance(action, OpenSocket):
                assert action.role not in connected
                connected.add(action.role)
            elif isinstance(action, CloseSocket):
                connected.discard(action.role)
            elif isinstance(action, SendText):
                assert action.role in connected
                json.loads(action.text)
            elif isinstance(action, StreamFinished):
                ended.append(action)

    check(talk.start())
    for step in steps:
        kind, *rest = step
        if kind == "opened":
            check(talk.opened(*rest))
        elif kind == "closed":
            connected.discard(rest[0])
            check(talk.closed(*rest))
        elif kind == "message":
            check(talk.say(rest[0], **rest[1]))
        elif kind == "raw":
            check(talk.client.message(rest[0], rest[1], talk.now))
        elif kind == "wait":
            check(talk.wait(*rest))
        elif kind == "hum":  # 70 s with keep-alives on all sockets but one
            for _ in range(14):
                for role in connected - {rest[0]}:
                    check(talk.say(role, msg_type=12, timestamp=T0))
                check(talk.wait(5))
        else:
            for role in list(connected):
                check(talk.opened(role))
            if kind == "join":
                check(talk.accept_signaling())
                for role in list(connected - {"signaling"}):
                    check(talk.opened(role))
                    check(talk.accept(role))
        assert (talk.client.deadline is None) == bool(ended)
    if leave:
        check(talk.client.leave(None))
    for _ in range(200):  # silence: nothing opens, nothing answers
        if ended:
            break
        assert math.isfinite(talk.client.deadline or math.inf)
        check(talk.wait(10))
    assert len(ended) == 1
    assert not connected
    assert not any(socket.state in CONNECTED for socket in talk.client._sockets.values())
