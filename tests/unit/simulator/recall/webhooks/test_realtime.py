"""Real-time endpoints: what they get, in which envelope, signed how, tried again how often."""

import base64
import json
from dataclasses import replace

import pytest
import standardwebhooks
from tests.unit.simulator.recall.documented_schemas import PARTICIPANT_ACTIONS, REALTIME, check_event
from tests.unit.simulator.recall.workbench import EPOCH, bench, until
from websockets.asyncio.server import serve

from rtms_simulator.clock import Clock
from rtms_simulator.recall import RecallSwitches, Story
from rtms_simulator.recall.recorder.values import AudioChunk, Participant, ParticipantEvent, TranscriptUtterance, VideoImage, Word

ADA = Participant(16778240, "Ada")
URL = "https://receiver.test/realtime?token=1"
TEXTS = ["participant_events.join", "transcript.data", "transcript.partial_data"]
MEDIA = ["audio_mixed_raw.data", "audio_separate_raw.data", "video_separate_png.data"]


def word(text: str, start: float) -> Word:
    return Word(text, EPOCH + start, EPOCH + start + 0.5, start, start + 0.5)


STORY = Story(
    lasts=5,
    events=[
        ParticipantEvent("join", ADA, EPOCH, 0.0),
        TranscriptUtterance(ADA, (word("Hello", 1.0), word("there", 1.5)), "en"),
        AudioChunk(b"\x01\x00\x02\x00", None, EPOCH + 1, 1.0),
        AudioChunk(b"\x03\x00", ADA, EPOCH + 1, 1.0),
        VideoImage(b"\x89PNG", ADA, "webcam", EPOCH + 2, 2.0),
    ],
)
CONFIG = {"transcript": {"provider": {"meeting_captions": {}}}, "audio_mixed_raw": {}, "metadata": {"planted": "1"}}


def config(kind: str, url: str, events: list[str]) -> dict:
    return {**CONFIG, "realtime_endpoints": [{"type": kind, "url": url, "events": events, "metadata": {"mine": "2"}}]}


@pytest.mark.parametrize(
    ("event", "reason"),
    [("transcript.provider_data", "Recall does not say"), ("participant_events.chat_message", "gets no chat messages")],
)
async def test_an_event_that_is_never_sent_is_taken_with_a_warning(tmp_path, caplog, event, reason):
    async with bench(tmp_path, STORY, webhooks=[]) as b:
        await b.create(recording_config=config("webhook", URL, [event, "transcript.data"]))
        await b.settle()
        assert b.receiver.events == ["transcript.data"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"will not get {event}: " in warning
    assert reason in warning


async def test_a_webhook_gets_what_it_asked_for_in_order_and_in_the_documented_envelope(tmp_path):
    async with bench(tmp_path, STORY, webhooks=[]) as b:
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.settle()
        assert b.receiver.events == ["participant_events.join", "transcript.partial_data", "transcript.data"]
        assert {received.url for received in b.receiver.got} == {URL}
        joined, partial, said = (received.json["data"] for received in b.receiver.got)
        assert joined["data"]["participant"]["name"] == "Ada"
        assert joined["data"]["timestamp"] == {"absolute": "2026-05-28T20:26:40.000000Z", "relative": 0.0}
        assert set(joined) == {"data", "realtime_endpoint", "participant_events", "recording"}
        assert joined["recording"]["metadata"] == {"planted": "1"}
        assert joined["realtime_endpoint"]["metadata"] == {"mine": "2"}
        assert [spoken["text"] for spoken in partial["data"]["words"]] == ["Hello"]
        assert said["data"]["words"][1] == {"text": "there", "start_timestamp": {"relative": 1.5}, "end_timestamp": {"relative": 2.0}}
        assert said["data"]["language_code"] == "en"
        endpoint = (await b.get("/realtime_endpoint/"))["results"][0]
        assert (endpoint["status"]["code"], endpoint["url"], endpoint["events"]) == ("running", URL, TEXTS)
        await b.pass_time(5)
        assert (await b.get(f"/realtime_endpoint/{endpoint['id']}"))["status"]["code"] == "done"


EVERY_EVENT = {
    "webhook": [f"participant_events.{action}" for action in PARTICIPANT_ACTIONS] + ["transcript.data", "transcript.partial_data"],
    "websocket": MEDIA,
}


@pytest.mark.parametrize("artifacts", [{}, CONFIG, {"participant_events": None, "video_mixed_mp4": None, "audio_mixed_raw": None}])
async def test_every_event_has_every_documented_key_whatever_is_recorded(tmp_path, artifacts):
    sockets = []

    async def take(connection):
        sockets.extend([json.loads(message) async for message in connection])

    async with serve(take, "127.0.0.1", 0) as server, bench(tmp_path, STORY, webhooks=[], allow_local_urls=True) as b:
        port = server.sockets[0].getsockname()[1]
        urls = {"webhook": URL, "websocket": f"ws://127.0.0.1:{port}"}
        endpoints = [{"type": kind, "url": urls[kind], "events": EVERY_EVENT[kind]} for kind in urls]
        await b.create(recording_config={**artifacts, "realtime_endpoints": endpoints})
        await b.pass_time(5)
        await until(lambda: len(sockets) == 3)
        bodies = [*(received.json for received in b.receiver.got), *sockets]
        assert {body["event"] for body in bodies} == {*TEXTS, *MEDIA}
        for body in bodies:
            check_event(body)
        # An event names the same resource all along, and the artifact where there is one.
        recording = (await b.get("/recording/"))["results"][0]
        for body in bodies:
            kind = REALTIME[body["event"]][0]
            kept = (await b.get(f"/{kind}/", recording_id=recording["id"]))["results"]
            assert [body["data"][kind]["id"]] == [artifact["id"] for artifact in kept] or not kept
        assert len({body["data"]["transcript"]["id"] for body in bodies if "transcript" in body["data"]}) == 1


async def test_a_participant_can_also_come_with_nulls_as_in_downloads(tmp_path):
    switches = RecallSwitches(realtime_participant="null")
    async with bench(tmp_path, STORY, webhooks=[], switches=switches) as b:
        await b.create(recording_config=config("webhook", URL, ["participant_events.join"]))
        await b.settle()
        (joined,) = b.receiver.got
        participant = joined.json["data"]["data"]["participant"]
        assert (participant["is_host"], participant["extra_data"]) == (None, None)


async def test_the_endpoints_states_are_announced_to_the_dashboards_webhooks(tmp_path):
    async with bench(tmp_path, STORY) as b:
        await b.create(recording_config=config("webhook", URL, ["participant_events.leave"]))
        await b.pass_time(5)
        assert [event for event in b.receiver.events if event.startswith("realtime")] == [
            "realtime_endpoint.running",
            "realtime_endpoint.done",
        ]


@pytest.mark.parametrize("exists", [True, False])
async def test_requests_are_signed_with_the_workspace_secret_if_there_is_one(tmp_path, exists):
    async with bench(tmp_path, STORY, clock=Clock(), webhooks=[], switches=RecallSwitches(workspace_secret_exists=exists)) as b:
        await b.create(recording_config=config("webhook", URL, ["transcript.data"]))
        while not b.receiver.got:
            await b.settle()
        (received,) = b.receiver.got
        if exists:
            standardwebhooks.Webhook(b.recall.workspace_secret).verify(received.raw, received.headers)
        else:
            assert [name for name in received.headers if name.startswith("webhook-")] == []


async def test_a_failing_webhook_is_tried_sixty_times_more_and_then_given_up(tmp_path):
    async with bench(tmp_path, STORY) as b:
        b.receiver.answer = lambda received: 500 if received.url == URL else 200
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.pass_time(59.9)
        tried = [received for received in b.receiver.got if received.url == URL]
        assert len(tried) == 60
        assert len({received.headers["webhook-id"] for received in tried}) == 1
        await b.pass_time(100)
        assert len([received for received in b.receiver.got if received.url == URL]) == 61
        (failed,) = [received.json["data"] for received in b.receiver.got if received.event == "realtime_endpoint.failed"]
        assert failed["data"]["error"]["code"] == "webhook_delivery_failed"
        assert set(failed) == {"data", "realtime_endpoint", "recording"}
        assert (await b.get("/realtime_endpoint/", status_code="failed"))["results"][0]["status"]["sub_code"] == "webhook_delivery_failed"


async def test_a_webhook_that_recovers_misses_nothing(tmp_path):
    async with bench(tmp_path, STORY, webhooks=[]) as b:
        b.receiver.answer = lambda _: 500 if len(b.receiver.got) < 10 else 200
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.pass_time(30)
        assert b.receiver.events[9:] == ["participant_events.join", "transcript.partial_data", "transcript.data"]


async def test_an_endpoint_too_far_behind_loses_the_oldest(tmp_path):
    async with bench(tmp_path, STORY, webhooks=[], switches=RecallSwitches(realtime_buffer=1)) as b:
        b.receiver.answer = lambda _: 500 if len(b.receiver.got) < 3 else 200
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.pass_time(30)
        assert b.receiver.events[-1] == "transcript.data"
        assert len(set(b.receiver.events)) < 3


@pytest.mark.parametrize("url", ["ws://a..b/", f"ws://{'x' * 64}.test/", "ws://x:99999/"])
async def test_a_host_that_cannot_be_is_as_good_as_one_that_is_not_there(tmp_path, url):
    async with bench(tmp_path, STORY, clock=Clock(rate=2000)) as b:
        await b.create(recording_config=config("websocket", url, TEXTS))
        await until(lambda: "realtime_endpoint.failed" in b.receiver.events)


async def test_rtmp_is_said_not_to_be_simulated(tmp_path):
    async with bench(tmp_path, STORY) as b:
        await b.create(recording_config=config("rtmp", "rtmp://live.test/app", ["video_mixed_flv.data"]))
        await b.settle()
        assert (await b.get("/realtime_endpoint/"))["results"][0]["status"]["sub_code"] == "rtmp_not_simulated"


async def test_without_a_stream_an_endpoint_ends_with_its_recording(tmp_path):
    async with bench(tmp_path, Story(joins_after=None), switches=RecallSwitches(recordings="at_once")) as b:
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.settle()
        assert (await b.get("/realtime_endpoint/"))["results"][0]["status"]["code"] == "done"
        assert "realtime_endpoint.running" not in b.receiver.events


async def test_reset_stops_the_senders(tmp_path):
    async with bench(tmp_path, STORY) as b:
        b.receiver.answer = lambda _: 500
        await b.create(recording_config=config("webhook", URL, TEXTS))
        await b.settle()
        await b.recall.reset()
        count = len(b.receiver.got)
        await b.pass_time(100)
        assert len(b.receiver.got) == count


class Socket:
    """A WebSocket receiver on a port; the first `rude` connections are dropped after one message."""

    def __init__(self, rude: int = 0) -> None:
        self.got: list[dict] = []
        self.requests: list = []
        self.rude = rude

    async def __call__(self, connection) -> None:
        self.requests.append(connection.request)
        async for message in connection:
            self.got.append(json.loads(message))
            if self.rude:
                self.rude -= 1
                connection.transport.abort()
                return


async def test_a_websocket_gets_media_too_over_a_signed_upgrade(tmp_path):
    socket = Socket()
    async with serve(socket, "127.0.0.1", 0) as server, bench(tmp_path, STORY, clock=Clock(), webhooks=[], allow_local_urls=True) as b:
        port = server.sockets[0].getsockname()[1]
        await b.create(recording_config=config("websocket", f"ws://127.0.0.1:{port}/rt?a=1", [*TEXTS, *MEDIA]))
        await until(lambda: len(socket.got) == 6)
        assert [got["event"] for got in socket.got] == [
            "participant_events.join",
            "transcript.partial_data",
            "transcript.data",
            *MEDIA,
        ]
        mixed, separate, image = (got["data"] for got in socket.got[-3:])
        assert base64.b64decode(mixed["data"]["buffer"]) == b"\x01\x00\x02\x00"
        assert separate["data"]["participant"]["id"] == ADA.id
        assert (image["data"]["type"], base64.b64decode(image["data"]["buffer"])) == ("webcam", b"\x89PNG")
        assert "audio_mixed" in mixed
        (request,) = socket.requests
        assert request.path == "/rt?a=1"
        standardwebhooks.Webhook(b.recall.workspace_secret).verify(b"", dict(request.headers.raw_items()), json_parse=False)


async def test_a_broken_websocket_is_connected_again_and_goes_on(tmp_path):
    socket = Socket(rude=1)
    story = replace(STORY, spacing=20.0)
    async with (
        serve(socket, "127.0.0.1", 0) as server,
        bench(tmp_path, story, clock=Clock(rate=100), webhooks=[], allow_local_urls=True) as b,
    ):
        port = server.sockets[0].getsockname()[1]
        await b.create(recording_config=config("websocket", f"ws://127.0.0.1:{port}/", TEXTS))
        await b.recall.drained()
        assert [got["event"] for got in socket.got] == ["participant_events.join", "transcript.partial_data", "transcript.data"]
        assert len(socket.requests) == 2
        assert (await b.get("/realtime_endpoint/"))["results"][0]["status"]["code"] == "done"


async def test_a_refused_handshake_is_tried_again_three_seconds_later(tmp_path):
    socket, refusals = Socket(), [503, 403]

    def refuse(connection, request):
        return connection.respond(refusals.pop(), "later") if refusals else None

    clock = Clock(rate=30)
    async with (
        serve(socket, "127.0.0.1", 0, process_request=refuse) as server,
        bench(tmp_path, STORY, clock=clock, webhooks=[], allow_local_urls=True) as b,
    ):
        started, port = clock.now(), server.sockets[0].getsockname()[1]
        await b.create(recording_config=config("websocket", f"ws://127.0.0.1:{port}/", TEXTS))
        await b.recall.drained()
        assert clock.now() - started >= 2 * 3
        assert len(socket.got) == 3


async def test_a_websocket_that_cannot_be_reached_is_tried_thirty_times_more_and_then_given_up(tmp_path):
    knocks = []

    def refuse(connection, request):
        knocks.append(request)
        return connection.respond(503, "never")

    clock = Clock(rate=60)
    async with (
        serve(Socket(), "127.0.0.1", 0, process_request=refuse) as server,
        bench(tmp_path, STORY, clock=clock, allow_local_urls=True) as b,
    ):
        started, port = clock.now(), server.sockets[0].getsockname()[1]
        await b.create(recording_config=config("websocket", f"ws://127.0.0.1:{port}/", TEXTS))
        await until(lambda: "realtime_endpoint.failed" in b.receiver.events)
        assert len(knocks) == 31
        assert clock.now() - started >= 30 * 3
        # Each upgrade is signed anew, with an id of its own.
        assert len({request.headers["webhook-id"] for request in knocks}) == 31
