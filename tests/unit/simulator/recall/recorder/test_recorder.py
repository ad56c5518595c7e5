"""The recorder against a small scripted RTMS server: sockets, time, and how a recording ends."""

import asyncio
import base64
import contextlib
import json
import ssl

import numpy as np
import pytest
import trustme
from websockets.asyncio.server import serve

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.recorder import Recorder, media_request
from rtms_simulator.recall.recorder.values import (
    FirstPacket,
    Joined,
    RecordingConfig,
    RecordingEnded,
    StreamRequest,
    TranscriptUtterance,
    VideoRequest,
)

T0 = 1_795_334_284_858
PACKET = 320  # samples in 20 ms
SOUND = np.random.default_rng(3).integers(-9000, 9000, 100 * PACKET).astype("<i2")
CONFIG = RecordingConfig(video_mixed=False, audio_mixed=("raw",), transcript=True)


def audio(index, **content):
    data = SOUND[index * PACKET : (index + 1) * PACKET].tobytes()
    content = {"user_id": 0, "data": base64.b64encode(data).decode(), "length": len(data), "timestamp": T0 + 20 * index} | content
    return {"msg_type": 14, "content": content}


CAPTION = {
    "msg_type": 17,
    "content": {"user_id": 7, "user_name": "Ada", "data": "hello", "timestamp": T0, "start_time": T0, "end_time": T0 + 500, "language": 9},
}
TERMINATED = {"msg_type": 8, "state": 4, "reason": 6, "timestamp": T0}


class Server:
    """Answers handshakes and, once the client is ready, runs `script(server)`; parts can be overridden by the tests."""

    def __init__(self, script=None, *, kinds=("audio", "transcript"), signaling_status=0, silent=False, over_early=False, tls=None):
        self.script = script
        self.kinds = kinds
        self.signaling_status = signaling_status
        self.silent = silent
        self.over_early = over_early
        self.tls = tls
        self.sockets = {}
        self.received = []
        self.connections = 0
        self.ready = 0
        self.task = None

    async def __aenter__(self):
        self.server = await serve(self.handle, "127.0.0.1", 0, ssl=self.tls, ping_interval=None)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        if self.task is not None and not self.task.done():
            self.task.cancel()
        self.server.close()
        await self.server.wait_closed()
        if self.task is not None and not self.task.cancelled():
            await asyncio.gather(self.task, return_exceptions=True)

    @property
    def base(self):
        return f"wss://localhost:{self.port}" if self.tls else f"ws://127.0.0.1:{self.port}"

    async def send(self, role, message):
        await self.sockets[role].send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    async def drop(self, role):
        """Cut the connection without a closing handshake."""
        self.sockets[role].transport.abort()

    async def handle(self, socket):
        self.connections += 1
        role = socket.request.path.strip("/")
        self.sockets[role] = socket
        with contextlib.suppress(Exception):
            async for raw in socket:
                message = json.loads(raw)
                self.received.append((role, message))
                if self.silent:
                    continue
                if message["msg_type"] == 1:
                    urls = {kind: f"{self.base}/{kind}" for kind in self.kinds}
                    answer = {"msg_type": 2, "status_code": self.signaling_status, "reason": "", "media_server": {"server_urls": urls}}
                    await socket.send(json.dumps(answer))
                elif message["msg_type"] == 3 and self.over_early:
                    await self.sockets["signaling"].close()
                elif message["msg_type"] == 3:
                    answer = {"msg_type": 4, "status_code": 0, "payload_encrypted": False, "media_params": message["media_params"]}
                    await socket.send(json.dumps(answer))
                elif message["msg_type"] == 7:
                    self.ready += 1
                    if self.script is not None and self.task is None:
                        self.task = asyncio.create_task(self.script(self))


class Run:
    """A recorder of a server, its events and its result."""

    def __init__(self, server, directory, *, config=CONFIG, rate=20.0, url=None, ssl_context=None):
        self.events = []
        self.clock = Clock(rate=rate)
        request = StreamRequest("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c", url or f"{server.base}/signaling", "sig")
        self.recorder = Recorder(self.clock, request, config, directory / "recording", self.events.append, ssl=ssl_context)

    async def result(self, seconds=10):
        return await asyncio.wait_for(self.recorder.run(), seconds)


async def until(condition):
    """Wait, for at most 10 s, until it holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def sound_of(result):
    """The samples of the mixed raw artifact."""
    return result.artifacts["audio_mixed"].path.read_bytes()


async def meeting(server, packets=50):
    for index in range(packets):
        await server.send("audio", audio(index))
    await server.send("transcript", CAPTION)
    await server.send("signaling", TERMINATED)


async def test_a_meeting_is_recorded_from_join_to_end(tmp_path):
    async with Server(meeting) as server:
        run = Run(server, tmp_path)
        result = await run.result()
    assert (result.status, result.sub_code, result.stop_reason) == ("done", None, 6)
    assert (result.started_at, result.completed_at) == (T0 / 1000, T0 / 1000 + 1)
    assert sound_of(result) == SOUND[: 50 * PACKET].tobytes()
    assert [type(event) for event in run.events] == [Joined, FirstPacket, TranscriptUtterance, RecordingEnded]
    assert result.counts["audio"] == 50
    by_role = [(role, message["msg_type"]) for role, message in server.received]
    assert by_role[0] == ("signaling", 1)
    assert set(by_role[1:3]) == {("audio", 3), ("transcript", 3)}
    assert by_role[3:] == [("signaling", 7), ("signaling", 5)]


async def test_the_end_does_not_cut_off_what_the_media_sockets_still_carry(tmp_path):
    async def terminate_first(server):
        await server.send("signaling", TERMINATED)
        for index in range(100):
            await server.send("audio", audio(index))
        await server.sockets["audio"].close()
        await server.sockets["transcript"].close()

    async with Server(terminate_first) as server:
        result = await Run(server, tmp_path).result()
    assert sound_of(result) == SOUND.tobytes()


async def test_wss_is_verified_against_the_given_authority(tmp_path):
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with Server(meeting, tls=server_context) as server:
        assert (await Run(server, tmp_path, ssl_context=context).result()).status == "done"
        stranger = await Run(server, tmp_path, rate=100).result()
    assert (stranger.status, stranger.sub_code) == ("failed", "zoom_rtms_connection_failed")


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:9/x", "not a url", "https://127.0.0.1:9/", "ws://", "ws://127.0.0.1:9,ws://127.0.0.1:10", ""]
)
async def test_a_url_that_leads_nowhere_fails(tmp_path, url):
    run = Run(None, tmp_path, rate=100, url=url or "/")
    result = await run.result()
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_connection_failed")
    assert [type(event) for event in run.events] == [RecordingEnded]
    assert result.artifacts == {}


async def test_a_redirect_is_not_followed(tmp_path):
    async with Server() as server:

        def elsewhere(connection, _):
            response = connection.respond(302, "")
            response.headers["Location"] = f"{server.base}/signaling"
            return response

        async with serve(server.handle, "127.0.0.1", 0, process_request=elsewhere) as redirecting:
            port = redirecting.sockets[0].getsockname()[1]
            result = await Run(server, tmp_path, rate=100, url=f"ws://127.0.0.1:{port}/").result()
        assert server.connections == 0
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_connection_failed")


async def test_when_the_buffers_hold_minutes_what_was_sent_first_is_read_first(tmp_path, monkeypatch):
    """Both sockets are filled as fast as they take it: the one with few messages is not read ahead of the one with many."""
    silence = base64.b64encode(bytes(4)).decode()

    async def flood(server):
        for moment in range(0, 60_000, 20):
            content = {"user_id": 0, "data": silence, "timestamp": T0 + moment}
            await server.send("audio", {"msg_type": 14, "content": content})
            if moment % 200 == 0:
                await server.send("video", {"msg_type": 15, "content": content})
        await server.send("signaling", TERMINATED)

    async with Server(flood, kinds=("audio", "video")) as server:
        run = Run(server, tmp_path, config=RecordingConfig())
        newest, apart = {}, []
        take = run.recorder._writer.take

        def look(packet):
            newest[packet.kind] = packet.timestamp_ms
            if len(newest) == 2:
                apart.append(abs(newest["video"] - newest["audio"]))
            take(packet)

        monkeypatch.setattr(run.recorder._writer, "take", look)
        await run.result(20)
    assert len(apart) > 2900
    assert sorted(apart)[len(apart) * 4 // 5] < 1500  # a busy machine may let one of them run ahead once; unheeded, it is half a minute


async def test_a_refused_signature_fails(tmp_path):
    async with Server(signaling_status=3) as server:
        result = await Run(server, tmp_path).result()
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_invalid_signature")


async def test_a_server_that_says_nothing_fails(tmp_path):
    async with Server(silent=True) as server:
        result = await Run(server, tmp_path, rate=200).result()
        assert server.connections == 4
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_handshake_timeout")


async def test_a_stream_without_media_is_empty(tmp_path):
    async with Server(lambda server: server.send("signaling", TERMINATED)) as server:
        result = await Run(server, tmp_path, rate=20).result()
    assert (result.status, result.sub_code, result.started_at) == ("empty", None, None)


async def test_a_stream_over_before_it_was_joined_fails(tmp_path):
    async with Server(over_early=True) as server:
        result = await Run(server, tmp_path).result()
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_no_media")


async def test_silence_for_ever_ends(tmp_path):
    """Half a stream: two packets, then nothing at all. Silence is noticed, coming back is tried, and then it is over."""

    async def half(server):
        server.silent = True
        await server.send("audio", audio(0))
        await server.send("audio", audio(1))

    async with Server(half) as server:
        result = await Run(server, tmp_path, rate=200).result()
    assert result.status == "done"
    assert result.sub_code == "zoom_rtms_handshake_timeout"
    assert sound_of(result) == SOUND[: 2 * PACKET].tobytes()


async def test_garbage_is_survived_and_told(tmp_path):
    async def garbage(server):
        for raw in ("", "{", "[]", b"\xff\xfe\x00", '{"msg_type": 14, "content": 3}', "[" * 50_000):
            await server.send("audio", raw)
            await server.send("signaling", raw)
        await server.send("audio", audio(0, data="@@@"))
        await meeting(server, 2)

    async with Server(garbage) as server:
        result = await Run(server, tmp_path).result()
    assert (result.status, result.sub_code) == ("done", "zoom_rtms_malformed_media")
    assert result.counts["malformed"] == 12
    assert sound_of(result) == SOUND[: 2 * PACKET].tobytes()


async def test_nothing_but_garbage_fails(tmp_path):
    async def garbage(server):
        for _ in range(100):
            await server.send("audio", b"\x00\x01garbage")
        await server.drop("audio")
        await server.send("signaling", TERMINATED | {"reason": 16})

    async with Server(garbage) as server:
        result = await Run(server, tmp_path, rate=20).result()
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_data_connection_closed_abnormally")


async def test_a_media_socket_that_breaks_is_opened_again_and_the_gap_is_silence(tmp_path):
    async def broken(server):
        for index in range(10):
            await server.send("audio", audio(index))
        await asyncio.sleep(0.05)
        await server.drop("audio")
        await until(lambda: server.ready >= 2)
        for index in range(20, 30):
            await server.send("audio", audio(index))
        await server.send("signaling", TERMINATED)

    async with Server(broken) as server:
        result = await Run(server, tmp_path, rate=20).result()
    expected = SOUND[: 30 * PACKET].copy()
    expected[10 * PACKET : 20 * PACKET] = 0
    assert (result.status, result.sub_code, result.counts["lost"]) == ("done", None, 1)
    assert sound_of(result) == expected.tobytes()


async def test_signaling_that_breaks_comes_back_with_all_media(tmp_path):
    async def broken(server):
        await server.send("audio", audio(0))
        await asyncio.sleep(0.05)
        await server.drop("signaling")
        await until(lambda: server.ready >= 2)
        await server.send("audio", audio(1))
        await server.send("signaling", TERMINATED)

    async with Server(broken) as server:
        run = Run(server, tmp_path, rate=20)
        result = await run.result()
        assert server.connections == 6
    assert sound_of(result) == SOUND[: 2 * PACKET].tobytes()
    assert [type(event) for event in run.events].count(Joined) == 1


async def test_keep_alives_are_answered_while_media_flow(tmp_path):
    async def alive(server):
        await server.send("audio", {"msg_type": 12, "timestamp": T0, "sequence": 5})
        await until(lambda: any(message["msg_type"] == 13 for _, message in server.received))
        await server.send("signaling", TERMINATED)

    async with Server(alive) as server:
        await Run(server, tmp_path, rate=20).result()
    assert ("audio", {"msg_type": 13, "timestamp": T0, "sequence": 5}) in server.received


async def test_displaced_it_keeps_what_it_has_and_leaves_the_stream_alone(tmp_path):
    async with Server(lambda server: server.send("audio", audio(0))) as server:
        run = Run(server, tmp_path)
        running = asyncio.create_task(run.recorder.run())
        await until(lambda: any(isinstance(event, FirstPacket) for event in run.events))
        await asyncio.wait_for(run.recorder.displace(), 5)
        result = await running
        for socket in server.sockets.values():
            await asyncio.wait_for(socket.wait_closed(), 5)
    assert (result.status, result.sub_code) == ("done", "zoom_rtms_displaced")
    assert sound_of(result) == SOUND[:PACKET].tobytes()
    assert not [message for _, message in server.received if message["msg_type"] == 21]
    assert {socket.close_code for socket in server.sockets.values()} == {1000}


async def test_displaced_before_it_began_it_never_connects(tmp_path):
    async with Server() as server:
        run = Run(server, tmp_path)
        await run.recorder.displace()
        result = await run.result()
        assert server.connections == 0
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_displaced")


async def test_cancelled_it_lets_go_of_everything(tmp_path):
    async with Server(lambda server: server.send("audio", audio(0))) as server:
        run = Run(server, tmp_path)
        running = asyncio.create_task(run.recorder.run())
        await until(lambda: any(isinstance(event, FirstPacket) for event in run.events))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for socket in server.sockets.values():
            await asyncio.wait_for(socket.wait_closed(), 5)


async def test_a_frozen_clock_waits_and_an_advanced_one_goes_on(tmp_path):
    async with Server(silent=True) as server:
        run = Run(server, tmp_path, rate=0)
        running = asyncio.create_task(run.recorder.run())
        for _ in range(200):
            await asyncio.sleep(0.01)
            if running.done():
                break
            if (deadline := run.clock.next_deadline) is not None and server.connections:
                run.clock.advance(max(0.0, deadline - run.clock.now()))
        assert (await running).sub_code == "zoom_rtms_handshake_timeout"


def test_what_is_asked_of_zoom_follows_the_config():
    assert set(media_request(RecordingConfig())) == {"audio", "video", "deskshare"}
    assert set(media_request(RecordingConfig(layout="audio_only"))) == {"audio"}
    assert set(media_request(RecordingConfig(video_mixed=False, transcript=True))) == {"audio", "transcript"}
    assert set(media_request(RecordingConfig(video_mixed=False, live_video_png=True))) == {"audio", "video", "deskshare"}
    assert [media_request(RecordingConfig(audio_separate=formats))["audio"]["data_opt"] for formats in ((), ("mp3",))] == [1, 2]
    video = media_request(RecordingConfig(video=VideoRequest(codec=7, resolution=2, fps=25)))["video"]
    assert (video["codec"], video["resolution"], video["fps"], video["data_opt"]) == (7, 2, 25, 3)
    # Zoom's L16 at 16 kHz, mono, every 20 ms: what all the audio files are made of.
    assert media_request(RecordingConfig())["audio"] == {
        "content_type": 2,
        "sample_rate": 1,
        "channel": 1,
        "codec": 1,
        "data_opt": 1,
        "send_rate": 20,
    }


@pytest.mark.parametrize("wrong", [{"codec": 1}, {"resolution": 0}, {"fps": 0}, {"fps": 6}, {"codec": 7, "fps": 31}])
def test_video_that_zoom_would_refuse_is_not_asked_for(wrong):
    with pytest.raises(ValueError, match=r"must be .* found"):
        VideoRequest(**wrong)


def test_a_recording_config_is_read_as_create_bot_means_it():
    read = RecordingConfig.from_json
    assert read({}) == read(None) == RecordingConfig()
    assert read({}, defaults=False) == RecordingConfig(video_mixed=False, participant_events=False, meeting_metadata=False)
    assert read({"video_mixed_mp4": None, "participant_events": None}) == RecordingConfig(video_mixed=False, participant_events=False)
    assert read({"audio_mixed_raw": {}, "audio_mixed_mp3": {}}).audio_mixed == ("mp3", "raw")
    assert read({"transcript": {"provider": {"meeting_captions": {}}}}).transcript
    endpoints = [{"type": "websocket", "url": "wss://x", "events": ["audio_separate_raw.data", "video_separate_png.data"]}]
    live = read({"realtime_endpoints": endpoints})
    assert (live.live_audio_mixed, live.live_audio_separate, live.live_video_png) == (False, True, True)
    assert read({"video_mixed_layout": "audio_only"}).layout == "audio_only"
