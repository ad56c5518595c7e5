"""`rtmskit send`: any event, any field, signed as Zoom signs, and an exit code that says whether Zoom would be content."""

import hashlib
import hmac
import json
import time

import pytest

from rtms_simulator.zoom.webhooks.events import EVENTS

SECRET = "hooksecret"


def arguments(receiver):
    return ["--webhook", receiver.url, "--secret-token", SECRET]


def expected_signature(timestamp: str, body: bytes) -> str:
    return "v0=" + hmac.new(SECRET.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("name", EVENTS)
def test_every_documented_event_arrives_signed_with_the_documented_fields(rtmskit, receiver, name):
    if name == "endpoint.url_validation":
        receiver.answer = lambda body: {
            "plainToken": (plain := json.loads(body)["payload"]["plainToken"]),
            "encryptedToken": hmac.new(SECRET.encode(), plain.encode(), hashlib.sha256).hexdigest(),
        }
    done = rtmskit("send", name, *arguments(receiver))
    assert done.exit_code == 0, done.output
    [(method, path, headers, body)] = receiver.requests
    assert (method, path) == ("POST", "/zoom-webhook")
    assert headers["x-zm-signature"] == expected_signature(headers["x-zm-request-timestamp"], body)
    assert json.loads(body)["event"] == name
    assert json.loads(body)["payload"] == dict(EVENTS[name].payload)


def test_fields_are_set_as_json_or_text_made_and_left_out(rtmskit, receiver):
    changes = ["--set", "payload.stop_reason=8", "--set", "payload.object.note=a/b=ç", "--unset", "payload.rtms_stream_id"]
    assert rtmskit("send", "meeting.rtms_stopped", *arguments(receiver), *changes).exit_code == 0
    body = receiver.requests[0][3]
    assert json.loads(body)["payload"] == {"meeting_uuid": "4444AAAiAAAAAiAiAiiAii==", "stop_reason": 8, "object": {"note": "a/b=ç"}}
    assert "ç".encode() in body


def test_raw_bytes_go_out_as_they_are_and_are_signed_as_they_are(rtmskit, receiver, tmp_path):
    (tmp_path / "body").write_bytes(b'{"event": "odd", \xff not json')
    assert rtmskit("send", "undocumented.event", *arguments(receiver), "--raw", "body").exit_code == 0
    (_, _, headers, body) = receiver.requests[0]
    assert body == b'{"event": "odd", \xff not json'
    assert headers["x-zm-signature"] == expected_signature(headers["x-zm-request-timestamp"], body)


def test_a_dry_run_shows_the_request_and_sends_nothing(rtmskit, receiver):
    done = rtmskit("send", "meeting.rtms_started", *arguments(receiver), "--dry-run", "--json")
    shown = json.loads(done.stdout)
    assert receiver.requests == []
    assert shown["headers"]["x-zm-signature"] == expected_signature(shown["headers"]["x-zm-request-timestamp"], shown["body"].encode())
    sent = rtmskit("send", "meeting.rtms_started", *arguments(receiver))
    assert sent.exit_code == 0
    (_, _, headers, body) = receiver.requests.pop()
    assert shown["headers"].keys() == headers.keys()
    for name in ("user-agent", "host", "content-length"):
        assert shown["headers"][name] == headers[name]
    assert len(body) == int(shown["headers"]["content-length"])
    assert "x-zm-signature: v0=" in rtmskit("send", "meeting.rtms_started", *arguments(receiver), "--dry-run").stdout


def test_a_fault_spoils_the_signature(rtmskit, receiver):
    rtmskit("send", "meeting.rtms_started", *arguments(receiver), "--fault", "zoom.webhook.*: wrong-signature")
    (_, _, headers, body) = receiver.requests[0]
    assert headers["x-zm-signature"] != expected_signature(headers["x-zm-request-timestamp"], body)


@pytest.mark.parametrize("fault", ["wrong-signature", "unsigned", "stale"])
def test_a_forged_event_that_is_taken_is_a_failure_and_one_that_is_refused_is_not(rtmskit, receiver, fault):
    sent = ["send", "meeting.rtms_started", *arguments(receiver), "--fault", f"zoom.webhook.*: {fault}"]
    taken = rtmskit(*sent)
    assert taken.exit_code == 1
    assert f"a forged event was taken: meeting.rtms_started with the fault zoom.webhook.*: {fault} was answered 200" in taken.stderr
    assert "verify x-zm-signature" in taken.stderr
    receiver.status = 401
    refused = rtmskit(*sent)
    assert (refused.exit_code, "Refused, as it must be" in refused.stderr) == (0, True)
    assert json.loads(rtmskit(*sent, "--json").stdout)["forged"] == f"zoom.webhook.*: {fault}"
    receiver.status = 500
    broke = rtmskit(*sent)
    assert (broke.exit_code, "refuse it with 401" in broke.stderr) == (1, True)


def test_what_is_old_but_as_zooms_last_retry_may_be_is_no_forgery(rtmskit, receiver):
    assert rtmskit("send", "meeting.rtms_started", *arguments(receiver), "--fault", "zoom.webhook.*: stale 85m").exit_code == 0


def test_an_answer_after_more_than_three_seconds_is_a_failure_of_the_receiver(rtmskit, receiver):
    receiver.answer = lambda _body: time.sleep(3.3) or {}
    done = rtmskit("send", "meeting.rtms_started", *arguments(receiver))
    assert done.exit_code == 1
    assert "did not answer within Zoom's time limit: TimeoutError: nothing within 3.0 s" in done.stderr
    assert "answer before doing the work" in done.stderr


@pytest.mark.parametrize(
    ("status", "says"), [(500, "it would try again"), (404, "it would not try again"), (301, "it would not try again")]
)
def test_an_answer_that_zoom_does_not_take_is_a_failure(rtmskit, receiver, status, says):
    receiver.status = status
    done = rtmskit("send", "meeting.rtms_started", *arguments(receiver))
    assert done.exit_code == 1
    assert says in done.stderr


@pytest.mark.parametrize("answer", [{}, b"not json", {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": "00"}])
def test_a_wrong_answer_to_a_challenge_is_a_failure(rtmskit, receiver, answer):
    receiver.answer = lambda _body: answer
    done = rtmskit("send", "endpoint.url_validation", *arguments(receiver), "--json")
    assert done.exit_code == 1
    assert "the challenge was answered wrongly" in done.stderr
    assert json.loads(done.stdout)["problem"]


def test_nobody_there(rtmskit):
    done = rtmskit("send", "meeting.rtms_started", "--webhook", "http://127.0.0.1:1/", "--secret-token", SECRET)
    assert done.exit_code == 3
    assert "gave no answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.such.event"], "choose one of meeting.rtms_started"),
        (["meeting.rtms_started", "--set", "payload.x"], "has no value"),
        (["meeting.rtms_started", "--set", "payload.meeting_uuid.x=1"], "'meeting_uuid' is not an object"),
        (["meeting.rtms_started", "--unset", "payload.nothing"], "the event has no such field"),
        (["meeting.rtms_started", "--unset", "payload"], "outer form"),
        (["meeting.rtms_started", "--set", "more=1"], "outer form"),
        (["meeting.rtms_started", "--raw", "nowhere"], "No such file"),
        (["meeting.rtms_started", "--fault", "no-such"], "a fault is written `TARGET: STEP`"),
        (["meeting.rtms_started", "--fault", "zoom.webhook.*: late xs"], "seconds of late is 'xs'"),
        (["meeting.rtms_started", "--fault", "zoom.stream: drop-media at=3s"], "one of wrong-signature, unsigned, stale, style"),
        (["meeting.rtms_started", "--fault", "zoom.webhook.*: duplicate"], "means nothing for one event"),
        (["meeting.rtms_started", "--fault", "zoom.webhook.*.rtms_stopped: stale"], "is for other events"),
        (["meeting.rtms_started", "--raw", "/dev/null", "--fault", "zoom.webhook.*: style"], "--raw is sent as it is"),
        (["meeting.rtms_started", "--raw", "/dev/null", "--set", "payload.a=1"], "--raw is sent as it is, so --set"),
        (["meeting.rtms_started", "--set", "=1"], "--set '' is not a path"),
        (["meeting.rtms_started", "--set", "payload..a=1"], "--set 'payload..a' is not a path"),
        (["meeting.rtms_started", "--unset", "payload."], "--unset 'payload.' is not a path"),
    ],
)
def test_bad_input_is_explained(rtmskit, receiver, arguments, says):
    done = rtmskit("send", *arguments, "--webhook", receiver.url, "--secret-token", SECRET)
    assert done.exit_code == 2
    assert says in done.stderr
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--webhook", "localhost:8080"], 2, "is not a URL"),
        (["--webhook", "http://localhost:1"], 2, "--secret-token is missing"),
        ([], 3, "no `rtmskit up` is running here"),
    ],
)
def test_a_receiver_must_be_named_or_running(rtmskit, arguments, code, says):
    done = rtmskit("send", "meeting.rtms_started", *arguments)
    assert done.exit_code == code
    assert says in done.stderr


def test_half_an_emoji_goes_out_as_the_escape_that_javascript_writes(rtmskit, receiver):
    done = rtmskit("send", "meeting.rtms_started", *arguments(receiver), "--set", 'payload.operator="a\\ud83d"')
    assert done.exit_code == 0, done.stderr
    [(_, _, _, body)] = receiver.requests
    assert b'"operator":"a\\ud83d"' in body
    assert json.loads(body)["payload"]["operator"] == "a\ud83d"
