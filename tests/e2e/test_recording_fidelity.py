"""What the simulated Zoom plays is what the recorder has written, over real sockets: sample by sample, picture by picture, word by word."""

import asyncio
import hashlib
import hmac
import itertools
import json
import ssl

import av
import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_simulator import scenario as scenarios
from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.recorder import Recorder
from rtms_simulator.recall.recorder.values import RecordingConfig, StreamRequest, VideoRequest
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom import Tls, Zoom, ZoomApp
from rtms_simulator.zoom.media import MediaSource, NoTimeCode, read_time_code

CLIENT_ID, CLIENT_SECRET = "cid", "a-client-secret"
RATE = 16_000
FRAME_MS = 200  # of 5 frames a second
SHARE_FRAME_MS = 1000
ENTITY_IDS = ("meeting_uuid", "webinar_uuid", "session_id", "engagement_id", "call_id")


class Stage:
    """A Zoom whose webhook starts a recorder for each stream, as the hand-off and Recall would."""

    def __init__(self, directory, config, *, clock=None, tls=None, secret=CLIENT_SECRET):
        self.clock = clock or Clock()
        self.directory = directory
        self.config = config
        self.secret = secret
        self.tls = tls
        self.recordings = []
        self.recorders = []
        app = ZoomApp(CLIENT_ID, CLIENT_SECRET, "a-secret-token")
        self.zoom = Zoom(self.clock, app, transport=httpx.MockTransport(self.hear), tls=tls)

    async def hear(self, request):
        message = json.loads(request.content)
        payload = message["payload"]
        if message["event"].endswith("rtms_started"):
            entity = next(payload[key] for key in ENTITY_IDS if key in payload)
            stream = payload["rtms_stream_id"]
            signature = hmac.new(self.secret.encode(), f"{CLIENT_ID},{entity},{stream}".encode(), hashlib.sha256).hexdigest()
            for recorder in self.recorders:  # a second create for a stream displaces the first
                if recorder.request.rtms_stream_id == stream:
                    await recorder.displace()
            directory = self.directory / str(len(self.recorders))
            context = ssl.create_default_context(cafile=str(self.tls.ca_file)) if self.tls else None
            recorder = Recorder(
                self.clock,
                StreamRequest(entity, stream, payload["server_urls"], signature),
                self.config,
                directory,
                lambda _: None,
                ssl=context,
            )
            self.recorders.append(recorder)
            self.recordings.append(asyncio.create_task(recorder.run()))
        return httpx.Response(200)

    async def play(self, scenario, speed="max"):
        """Hold the meeting; its report and a result for each stream."""
        await self.zoom.start()
        try:
            report = await asyncio.wait_for(self.zoom.play(scenario, "http://hook.test/", speed=speed), 60)
            return report, await asyncio.wait_for(asyncio.gather(*self.recordings), 60)
        finally:
            await self.zoom.aclose()


def samples(path):
    return np.frombuffer(path.read_bytes(), "<i2")


def played(scenario):
    return np.concatenate(list(MediaSource(scenario).mixed_samples()))


def heard(path):
    """The sound of a container as 16 kHz samples, beginning at its time 0."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames]) * 32768
    return np.concatenate((np.zeros(round((frames[0].time or 0) * RATE)), sound))


def lag_ms(one, other):
    """By how much the second sound comes later, from their cross-correlation."""
    count = min(len(one), len(other))
    spectrum = np.fft.rfft(other[:count], 2 * count) * np.conj(np.fft.rfft(one[:count], 2 * count))
    place = int(np.fft.irfft(spectrum).argmax())
    return (place if place < count else place - 2 * count) / RATE * 1000


def burnt_in(path):
    """(moment, time code) of every picture that carries one, in ms, and how many pictures there are."""
    codes, count = [], 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            count += 1
            try:
                codes.append((round(frame.time * 1000), read_time_code(frame)))
            except NoTimeCode:
                continue
    return codes, count


def relative_ms(timestamp):
    return round(timestamp["relative"] * 1000)


@pytest.mark.parametrize("video", [VideoRequest(), VideoRequest(codec=7, resolution=1, fps=10)], ids=["jpg", "h264"])
async def test_the_recording_is_the_meeting(tmp_path, video):
    scenario = scenarios.load("stand-up")
    config = RecordingConfig(audio_mixed=("raw", "mp3"), transcript=True, video=video)
    report, [result] = await Stage(tmp_path, config).play(scenario)
    origin_ms = round(result.started_at * 1000) - report.started_ms
    assert (result.status, result.sub_code, result.stop_reason, origin_ms) == ("done", None, 6, 0)
    assert all(artifact.status == "done" for artifact in result.artifacts.values())

    # Raw sound: equal sample by sample.
    truth = played(scenario)
    assert np.array_equal(samples(result.artifacts["audio_mixed_raw"].path), truth)

    # The MP4: streams, codecs, sizes, durations.
    path = result.artifacts["video_mixed"].path
    with av.open(str(path)) as container:
        assert container.format.name.startswith("mov,mp4")
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (len(container.streams), picture.codec_context.name, sound.codec_context.name) == (2, "h264", "aac")
        assert (picture.width, picture.height, picture.codec_context.pix_fmt) == (640, 360, "yuv420p")
        assert (sound.codec_context.sample_rate, sound.codec_context.channels) == (RATE, 1)
        for stream in (picture, sound):
            assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(scenario.duration_s, abs=FRAME_MS / 1000)

    # Each picture shows the moment it is shown at, within one frame of what was sent; a share sends one a second.
    codes, count = burnt_in(path)
    shares = [(span.start_ms, span.end_ms + SHARE_FRAME_MS) for span in scenario.shares()]
    assert shares
    for moment, code in codes:
        share = any(start <= moment <= end for start, end in shares)
        assert abs(moment - code) <= (SHARE_FRAME_MS if share else 1000 // video.fps), (moment, code)
    sent = report.streams[0].sent["video"]["packets"]
    assert sent - 1 <= count <= sent + 8  # shares, black before and after
    assert len(codes) >= sent - 2
    assert max(b - a for (a, _), (b, _) in itertools.pairwise(codes)) <= 2 * FRAME_MS

    # The sound in MP4 and MP3 is at the same place.
    for kind in ("video_mixed", "audio_mixed"):
        assert abs(lag_ms(truth.astype(float), heard(result.artifacts[kind].path))) <= 1000 / video.fps


async def test_the_texts_are_the_script(tmp_path):
    scenario = scenarios.load("stand-up")
    config = RecordingConfig(video_mixed=False, transcript=True)
    _, [result] = await Stage(tmp_path, config).play(scenario)
    read = {kind: json.loads(result.artifacts[kind].path.read_bytes()) for kind in ("transcript", "participants", "speaker_timeline")}
    events = json.loads(result.artifacts["participant_events"].path.read_bytes())

    said = [
        (
            item["participant"]["name"],
            " ".join(word["text"] for word in item["words"]),
            relative_ms(item["words"][0]["start_timestamp"]),
            relative_ms(item["words"][-1]["end_timestamp"]),
        )
        for item in read["transcript"]
    ]
    script = [(line.who.name, line.text, line.start_ms, line.end_ms) for line in scenario.utterances() if line.text]
    assert said == sorted(script, key=lambda line: line[2])

    assert [(person["id"], person["name"]) for person in read["participants"]] == [(who.user_id, who.name) for who in scenario.people]

    speakers = scenario.speakers()
    ends = [moment for moment, _ in speakers[1:]] + [scenario.duration_ms]
    turns = [
        (turn["participant"]["name"], relative_ms(turn["start_timestamp"]), relative_ms(turn["end_timestamp"]))
        for turn in read["speaker_timeline"]
    ]
    assert turns == [(who.name, start, end) for (start, who), end in zip(speakers, ends, strict=True)]

    happened = {(event["action"], event["participant"]["name"], relative_ms(event["timestamp"])) for event in events}
    names = {"video_on": "webcam_on", "share_start": "screenshare_on", "share_stop": "screenshare_off", "leave": "leave", "join": "join"}
    for action in scenario.timeline:
        if action.kind in names and action.who is not None:
            assert (names[action.kind], scenario.person(action.who).name, round(action.at_s * 1000)) in happened


async def test_each_voice_is_a_file_of_its_own_and_their_sum_is_the_mix(tmp_path):
    people = (Person(16778240, "Ada"), Person(16779264, "Grace"))
    lines = ((0.4, 1.6, people[0]), (1.2, 2.4, people[1]), (2.6, 3.4, people[0]))
    timeline = tuple(Action(start, "speak", who.user_id, {"until_s": end, "text": "hello there"}) for start, end, who in lines)
    scenario = Scenario(name="two", seed=5, product="meeting", duration_s=4.0, people=people, timeline=timeline)
    config = RecordingConfig(video_mixed=False, audio_mixed=("raw",), audio_separate=("raw",))
    report, [result] = await Stage(tmp_path, config).play(scenario)
    parts = {part.participant.name: part for part in result.artifacts["audio_separate"].parts}
    assert set(parts) == {"Ada", "Grace"}
    mix = np.zeros(4 * RATE, np.int32)
    for part in parts.values():
        voice = samples(part.path)
        offset = round((part.start * 1000 - report.started_ms) * RATE / 1000)
        assert len(voice) == round(part.duration * RATE)
        assert voice.any()
        mix[offset : offset + len(voice)] += voice
    ada = samples(parts["Ada"].path)
    begin = round((part_ms(parts["Ada"], report)) * RATE / 1000)
    assert not ada[round(1.7 * RATE) - begin : round(2.5 * RATE) - begin].any()  # she is silent while Grace ends
    recorded = samples(result.artifacts["audio_mixed"].path)
    offset = round((result.started_at * 1000 - report.started_ms) * RATE / 1000)
    expected = np.clip(mix, -32768, 32767)[offset : offset + len(recorded)]
    assert np.array_equal(recorded, expected)


def part_ms(part, report):
    return round(part.start * 1000) - report.started_ms


VOICES = tuple(Person(16778240 + 1024 * index, name) for index, name in enumerate(("Ada", "Grace", "Zoë")))
TURNS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1500), st.integers(200, 1500)), max_size=6)


@settings(max_examples=12, deadline=None)
@given(turns=TURNS, seed=st.integers(0, 999))
async def test_whatever_is_said_is_recorded(tmp_path_factory, turns, seed):
    """Any turns, also several voices at once and none at all: the sound, the words and their times are the script's."""
    timeline, moment, busy_until = [], 0, dict.fromkeys(range(3), 0)
    for voice, wait_ms, length_ms in turns:
        moment = max(moment + wait_ms, busy_until[voice])
        busy_until[voice] = moment + length_ms
        text = f"turn {len(timeline)} of {VOICES[voice].name}"
        timeline.append(Action(moment / 1000, "speak", VOICES[voice].user_id, {"until_s": (moment + length_ms) / 1000, "text": text}))
    end_s = (max(busy_until.values()) + 500) / 1000
    scenario = Scenario(name="any", seed=seed, product="meeting", duration_s=end_s, people=VOICES, timeline=tuple(timeline))
    config = RecordingConfig(video_mixed=False, audio_mixed=("raw",), transcript=True)
    _, [result] = await Stage(tmp_path_factory.mktemp("any"), config).play(scenario)
    assert (result.status, result.sub_code) == ("done", None)
    recorded, truth = samples(result.artifacts["audio_mixed"].path), played(scenario)
    assert np.array_equal(recorded[: len(truth)], truth)
    assert not recorded[len(truth) :].any()  # the last packet may reach beyond the end
    written = json.loads(result.artifacts["transcript"].path.read_bytes())
    said = {(" ".join(word["text"] for word in item["words"]), relative_ms(item["words"][0]["start_timestamp"])) for item in written}
    assert said == {(line.text, line.start_ms) for line in scenario.utterances()}


def broken_meeting(kind, **data):
    people = (Person(16778240, "Ada"),)
    timeline = (Action(0.2, "speak", people[0].user_id, {"until_s": 9.8, "text": "a long story"}), Action(3.0, kind, None, data))
    return Scenario(name="broken", seed=2, product="meeting", duration_s=10.0, people=people, timeline=timeline)


@pytest.mark.parametrize(("kind", "data"), [("drop_media", {"media": "audio"}), ("drop_signaling", {})])
async def test_a_broken_connection_is_a_gap_at_most(tmp_path, kind, data):
    scenario = broken_meeting(kind, **data)
    config = RecordingConfig(audio_mixed=("raw",))
    report, [result] = await Stage(tmp_path, config, clock=Clock(rate=2)).play(scenario, speed=1.0)
    assert (result.status, result.sub_code, result.counts["lost"]) == ("done", None, 1)
    truth, recorded = played(scenario), samples(result.artifacts["audio_mixed"].path)
    begin = round((result.started_at * 1000 - report.started_ms) * RATE / 1000)
    expected = truth[begin : begin + len(recorded)]
    assert len(recorded) == len(expected)
    assert len(expected) > 9 * RATE
    different = np.flatnonzero(recorded != expected)
    assert not recorded[different].any()  # nothing but silence differs, ...
    if len(different):  # ... in one stretch that begins at the break
        assert different[0] + begin > 2.5 * RATE
        assert different[-1] - different[0] < 6 * RATE


async def test_after_a_fail_over_two_recordings_make_the_meeting(tmp_path):
    scenario = scenarios.load("server-fail-over")
    config = RecordingConfig(audio_mixed=("raw",))
    report, results = await Stage(tmp_path, config, clock=Clock(rate=2)).play(scenario, speed=1.0)
    assert [result.status for result in results] == ["done", "done"]
    assert results[0].sub_code == "zoom_rtms_displaced"
    assert results[1].sub_code is None
    truth = played(scenario)
    covered = 0
    for result in results:
        recorded = samples(result.artifacts["audio_mixed"].path)
        begin = round((result.started_at * 1000 - report.started_ms) * RATE / 1000)
        assert np.array_equal(recorded, truth[begin : begin + len(recorded)])
        covered += len(recorded)
    assert covered > 0.7 * len(truth)


async def test_a_wrong_secret_fails(tmp_path):
    stage = Stage(tmp_path, RecordingConfig(), secret="another", clock=Clock(rate=60))
    _, [result] = await stage.play(scenarios.load("one-to-one"), speed=1.0)
    assert (result.status, result.sub_code) == ("failed", "zoom_rtms_invalid_signature")


async def test_over_tls(tmp_path):
    scenario = scenarios.load("one-to-one")
    config = RecordingConfig(video_mixed=False, audio_mixed=("raw",))
    _, [result] = await Stage(tmp_path, config, tls=Tls(tmp_path / "tls")).play(scenario)
    assert np.array_equal(samples(result.artifacts["audio_mixed"].path), played(scenario))


async def test_a_contact_center_call_has_a_voice_per_party(tmp_path):
    scenario = scenarios.load("contact-center-call")
    config = RecordingConfig(video_mixed=False, audio_mixed=("raw",), audio_separate=("raw",), transcript=True)
    _, [result] = await Stage(tmp_path, config).play(scenario)
    assert result.status == "done"
    assert len(result.artifacts["audio_separate"].parts) >= 2
    assert json.loads(result.artifacts["transcript"].path.read_bytes())
