"""`rtmskit meeting play` against a receiver that is not ours: signed webhooks, RTMS for whoever joins, own files, and the verdict."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
import time
import wave

import pytest
import websockets

from rtms_simulator.clock import Clock

APP = ("client", "client-secret", "hooksecret")


@pytest.fixture
def joins(receiver):
    """The receiver joins every stream it hears of (on a thread) and keeps the L16 audio it is sent, by stream."""
    heard: dict[str, bytearray] = {}
    threads: list[threading.Thread] = []

    async def join(payload: dict, context: ssl.SSLContext | None = None) -> None:
        uuid, stream = payload["meeting_uuid"], payload["rtms_stream_id"]
        signature = hmac.new(APP[1].encode(), f"{APP[0]},{uuid},{stream}".encode(), hashlib.sha256).hexdigest()
        whoami = {"protocol_version": 1, "meeting_uuid": uuid, "rtms_stream_id": stream, "signature": signature, "sequence": 1}
        async with websockets.connect(payload["server_urls"], ssl=context) as signaling:
            await signaling.send(json.dumps({"msg_type": 1, **whoami}))
            greeting = json.loads(await signaling.recv())
            assert greeting["status_code"] == 0, greeting
            async with websockets.connect(greeting["media_server"]["server_urls"]["audio"], ssl=context) as media:
                audio = {"content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 1, "send_rate": 20}
                await media.send(json.dumps({"msg_type": 3, "media_type": 1, "media_params": {"audio": audio}, **whoami}))
                assert json.loads(await media.recv())["status_code"] == 0
                await signaling.send(json.dumps({"msg_type": 7, "rtms_stream_id": stream}))
                async for message in media:
                    found = json.loads(message)
                    if found["msg_type"] == 14:
                        heard.setdefault(stream, bytearray()).extend(base64.b64decode(found["content"]["data"]))
                    elif found["msg_type"] == 12:
                        await media.send(json.dumps({"msg_type": 13, "timestamp": found["timestamp"], "sequence": found["sequence"]}))

    def answer(body: bytes) -> object:
        event = json.loads(body)
        if event["event"].endswith("rtms_started"):
            thread = threading.Thread(target=lambda: asyncio.run(join(event["payload"])))
            thread.start()
            threads.append(thread)
        return {}

    receiver.answer = answer
    yield heard
    for thread in threads:
        thread.join(10)


def arguments(receiver, *more):
    return ["meeting", "play", *more, "--webhook", receiver.url, "--client-id", APP[0], "--client-secret", APP[1], "--secret-token", APP[2]]


def test_a_receiver_of_ones_own_is_told_joined_with_and_sent_every_sample(rtmskit, receiver, joins):
    done = rtmskit(*arguments(receiver, "--speed", "max", "--json"))
    assert done.exit_code == 0, done.output
    [report] = json.loads(done.stdout)["meetings"]
    [stream] = report["streams"]
    assert hashlib.sha256(joins[stream["stream_id"]]).hexdigest() == stream["sent"]["audio"]["sha256"]
    assert [json.loads(body)["event"] for _, _, _, body in receiver.requests] == ["meeting.rtms_started", "meeting.rtms_stopped"]
    for _, _, headers, body in receiver.requests:
        signed = b"v0:" + headers["x-zm-request-timestamp"].encode() + b":" + body
        assert headers["x-zm-signature"] == "v0=" + hmac.new(APP[2].encode(), signed, hashlib.sha256).hexdigest()


def test_a_persons_own_files_are_what_is_played(rtmskit, receiver, joins, tmp_path):
    samples = struct.pack("<16000h", *(((n * 37) % 20001) - 10000 for n in range(16000)))
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples)
    (tmp_path / "talk.vtt").write_text("WEBVTT\n\n00:00:00.100 --> 00:00:00.900\nAda Lovelace: Hello, all of you.\n")
    done = rtmskit(*arguments(receiver, "--speed", "max", "--media", "talk.wav", "--transcript", "talk.vtt", "--json"))
    assert done.exit_code == 0, done.output
    [report] = json.loads(done.stdout)["meetings"]
    assert report["scenario"] == "talk.wav"
    assert report["streams"][0]["sent"].get("deskshare", {"packets": 0})["packets"] == 0  # nothing of the stand-up's
    assert bytes(joins[report["streams"][0]["stream_id"]])[: len(samples)] == samples


def test_for_people_it_tells_who_joined_what_was_sent_and_how_it_was_answered(rtmskit, receiver, joins):
    done = rtmskit(*arguments(receiver, "--speed", "max"))
    assert "joined after" in done.stdout
    assert "600 packets" in done.stdout
    assert "200 in" in done.stdout
    assert "stopped with reason 6" in done.stderr


@pytest.mark.parametrize(("status", "says"), [(403, "the receiver's log"), (401, "was the clock advanced")])
def test_nobody_joining_is_a_failure_that_says_what_the_webhook_answered(rtmskit, receiver, tmp_path, status, says):
    (tmp_path / "brief.toml").write_text('duration_s = 0.5\npeople = [{ name = "Ada" }]\n')
    receiver.status = status
    done = rtmskit(*arguments(receiver, "brief.toml"))
    assert says in done.stderr
    assert done.exit_code == 1
    assert "nobody joined stream" in done.stderr
    assert f"rtms_started ended refused, {status}" in done.stderr


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["nope"], "there is no scenario 'nope'"),
        (["--speed", "fast"], "speed is 'fast'"),
        (["--fault", "nope"], "a fault is written `TARGET: STEP`"),
        (["--media", "nowhere.wav"], "nowhere.wav"),
        (["--media", "odd.xyz"], "supported: .mp4"),
        (["--transcript", "odd.xyz"], "supported: .vtt"),
        (["bad.toml"], "bad.toml:1: duration_s"),
    ],
)
def test_what_cannot_be_played_is_explained_before_anything_is_sent(rtmskit, receiver, tmp_path, more, says):
    (tmp_path / "odd.xyz").write_text("nothing")
    (tmp_path / "bad.toml").write_text('duration_s = "long"\npeople = [{ name = "Ada" }]\n')
    done = rtmskit(*arguments(receiver, *more))
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert receiver.requests == []


def test_the_apps_credentials_are_needed(rtmskit, receiver, monkeypatch):
    for name in ("ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    done = rtmskit("meeting", "play", "--webhook", receiver.url, "--secret-token", "s")
    assert done.exit_code == 2
    assert "--client-id and --client-secret are missing" in done.stderr


# The verdict


def test_a_forged_event_that_is_taken_fails_the_play(rtmskit, receiver, joins):
    done = rtmskit(*arguments(receiver, "--speed", "max", "--fault", "zoom.webhook.*.rtms_stopped: unsigned", "--json"))
    assert done.exit_code == 1
    assert "forged: meeting.rtms_stopped (delivery 2) with the fault zoom.webhook.*.rtms_stopped: unsigned was answered 200" in done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["problems"]] == ["forged"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("zoom.webhook.webinar.rtms_started: duplicate", "never acted, or changed nothing"),
        ("zoom.webhook.meeting.rtms_stopped: style escaped-unicode", "changed nothing of meeting.rtms_stopped"),
    ],
)
def test_a_fault_that_does_nothing_fails_the_play(rtmskit, receiver, joins, fault, says):
    done = rtmskit(*arguments(receiver, "--speed", "max", "--fault", fault))
    assert done.exit_code == 1, done.output
    assert says in done.stderr


def test_a_forged_event_that_is_refused_does_not(rtmskit, receiver, joins):
    joined = receiver.answer

    def answer(body):
        receiver.status = 401 if json.loads(body)["event"].endswith("stopped") else 200
        return joined(body)

    receiver.answer = answer
    done = rtmskit(*arguments(receiver, "--speed", "max", "--fault", "zoom.webhook.*.rtms_stopped: wrong-signature"))
    assert done.exit_code == 0, done.stderr


def test_an_answer_after_more_than_three_seconds_fails_the_play(rtmskit, receiver, joins):
    joined = receiver.answer
    receiver.answer = lambda body: (joined(body), time.sleep(3.3 if b"rtms_stopped" in body else 0))[0]
    done = rtmskit(*arguments(receiver, "--speed", "max"))
    assert done.exit_code == 1
    assert "slow: meeting.rtms_stopped (delivery 2) was not answered in time" in done.stderr


@pytest.mark.parametrize(("scenario", "reason"), [("never-joined", 11), ("bad-signature", 18)])
@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_meeting_that_nobody_is_to_join_is_well_when_nobody_has(rtmskit, receiver, scenario, reason, speed):
    done = rtmskit(*arguments(receiver, scenario, "--speed", speed, "--patience", "0.2", "--json"))
    assert done.exit_code == 0, done.stderr
    [report] = json.loads(done.stdout)["meetings"]
    assert (report["joined"], report["streams"][0]["stop_reason"]) == (False, reason)
    assert "nobody joins and nothing is outstanding: the fakes' clock runs ahead" in done.stderr


def test_the_end_that_is_expected_can_be_given(rtmskit, receiver, joins):
    done = rtmskit(*arguments(receiver, "--speed", "max", "--expect", "not-joined"))
    assert done.exit_code == 1
    assert "was joined after" in done.stderr
    assert "in this meeting nobody should join" in done.stderr
    receiver.answer = lambda _body: {}
    missed = rtmskit(*arguments(receiver, "never-joined", "--patience", "0.2", "--expect", "recorded"))
    assert (missed.exit_code, "nobody joined stream" in missed.stderr) == (1, True)
    assert rtmskit(*arguments(receiver, "--patience", "0.2", "--expect", "not-joined")).exit_code == 0
    assert "'recorded', 'deleted', 'not-joined'" in rtmskit(*arguments(receiver, "--expect", "fun")).stderr


def test_options_of_an_own_zoom_do_not_go_with_a_running_up(rtmskit):
    done = rtmskit("meeting", "play", "--tls")
    assert done.exit_code == 2
    assert "go with --webhook" in done.stderr


def test_nobody_listening_ends_it_at_once(rtmskit):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}/x"
    begun = Clock().now()
    done = rtmskit("meeting", "play", "--webhook", url, "--client-id", APP[0], "--client-secret", APP[1], "--secret-token", APP[2])
    assert done.exit_code == 3
    assert f"{url} cannot be reached: ConnectError" in done.stderr
    assert Clock().now() - begun < 10


def test_ids_are_new_each_time_unless_a_seed_is_named(rtmskit, receiver, tmp_path):
    (tmp_path / "brief.toml").write_text('duration_s = 0.2\npeople = [{ name = "Ada" }]\n')
    receiver.status = 403
    ids = []
    for more in ([], [], ["--seed", 5], ["--seed", 5]):
        done = rtmskit(*arguments(receiver, "brief.toml", "--json", *more))
        [report] = json.loads(done.stdout)["meetings"]
        ids.append((report["entity_id"], report["streams"][0]["stream_id"]))
    assert len(set(ids)) == 3
    assert ids[2] == ids[3]
