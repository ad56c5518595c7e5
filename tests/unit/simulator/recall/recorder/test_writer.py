"""A recording is a function of its packets: fed by hand here, without sockets."""

import io
import json
import resource
import signal

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rtms_simulator.recall.recorder.values import (
    AudioChunk,
    FirstPacket,
    ParticipantEvent,
    RecordingConfig,
    StreamRequest,
    TranscriptUtterance,
    VideoImage,
)
from rtms_simulator.recall.recorder.video.video import LACKING_MS
from rtms_simulator.recall.recorder.writer import RecordingWriter
from rtms_simulator.recall.rtms.actions import Caption, Packet, ParticipantNotice

T0 = 1_795_334_284_858
REQUEST = StreamRequest("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c", "wss://x", "sig")
EVERYTHING = RecordingConfig(
    audio_mixed=("raw", "mp3"),
    audio_separate=("raw",),
    video_separate=True,
    transcript=True,
    live_audio_mixed=True,
    live_audio_separate=True,
    live_video_png=True,
)
PACKET = 320  # samples in 20 ms
SOUND = np.random.default_rng(7).integers(-9000, 9000, 100 * PACKET).astype("<i2")


def sound(index, user=0, name=None, kind="audio"):
    piece = SOUND[index % 100 * PACKET : (index % 100 + 1) * PACKET]
    return Packet(kind, user, name, piece.tobytes(), T0 + 20 * index)


def picture(moment, level=100, user=7, kind="video"):
    target = io.BytesIO()
    Image.new("RGB", (64, 36), (level,) * 3).save(target, "JPEG")
    return Packet(kind, user, "Ada", target.getvalue(), T0 + moment)


def record(directory, items, config=EVERYTHING, unavailable=None):
    told = []
    tape = RecordingWriter(config, REQUEST, directory, told.append, unavailable if unavailable is not None else {})
    for item in items:
        tape.take(item)
    return tape, tape.finish(), told


def test_what_was_asked_for_is_there(tmp_path):
    items = [
        ParticipantNotice("join", 7, "Ada", T0 - 500),
        *(sound(index, user=7, name="Ada") for index in range(50)),
        *(picture(moment) for moment in range(0, 1000, 200)),
        Caption(7, "Ada", "hello", T0 + 100, T0 + 400, 9, 0),
    ]
    tape, artifacts, told = record(tmp_path, items)
    assert {kind: artifact.format for kind, artifact in artifacts.items()} == {
        "video_mixed": "mp4",
        "video_separate": "mp4",
        "audio_mixed": "mp3",
        "audio_mixed_raw": "raw",
        "audio_separate": "raw",
        "transcript": "json",
        "provider_data": "json",
        "participant_events": "json",
        "speaker_timeline": "json",
        "participants": "json",
        "meeting_metadata": "json",
    }
    assert all(artifact.status == "done" for artifact in artifacts.values())
    assert artifacts["meeting_metadata"].meta == {"title": None, "zoom": {"meeting_uuid": REQUEST.meeting_uuid}}
    assert (tape.started_at, tape.completed_at) == (T0 / 1000, T0 / 1000 + 1)
    [part] = artifacts["audio_separate"].parts
    assert (part.participant.name, part.start, part.duration) == ("Ada", T0 / 1000, 1.0)
    assert part.path.read_bytes() == artifacts["audio_mixed_raw"].path.read_bytes() == SOUND[: 50 * PACKET].tobytes()
    assert json.loads(artifacts["participants"].path.read_bytes())[0]["name"] == "Ada"
    kinds = {type(event) for event in told}
    assert kinds == {FirstPacket, ParticipantEvent, TranscriptUtterance, AudioChunk, VideoImage}


def test_by_default_it_is_an_mp4_and_the_participants(tmp_path):
    _, artifacts, _ = record(tmp_path, [sound(0)], RecordingConfig())
    assert set(artifacts) == {"video_mixed", "participant_events", "speaker_timeline", "participants", "meeting_metadata"}


def test_real_time_audio_is_the_sound_with_its_times(tmp_path):
    _, _, told = record(tmp_path, [sound(index) for index in (0, 1, 2, 10)], RecordingConfig(live_audio_mixed=True))
    chunks = [event for event in told if isinstance(event, AudioChunk)]
    assert [chunk.relative for chunk in chunks] == [0, 0.02, 0.04, 0.2]
    assert b"".join(chunk.data for chunk in chunks) == b"".join(sound(index).data for index in (0, 1, 2, 10))


def live_images(tmp_path, items, config=None):
    _, _, told = record(tmp_path, items, config or RecordingConfig(live_video_png=True, video_mixed=False))
    return [event for event in told if isinstance(event, VideoImage)]


def level(image):
    return int(np.asarray(Image.open(io.BytesIO(image.png)).convert("L"))[180, 320])


@pytest.mark.parametrize("every_ms", [100, 200, 300, 1000])
def test_real_time_pictures_come_twice_a_second_whatever_rate_zoom_sends_at(tmp_path, every_ms):
    images = live_images(tmp_path, [picture(moment) for moment in range(0, 3001, every_ms)])
    assert [round(image.relative, 3) for image in images] == [0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert {(image.kind, image.participant.name) for image in images} == {("webcam", "Ada")}


def test_a_real_time_picture_is_the_newest_of_its_moment(tmp_path):
    images = live_images(tmp_path, [picture(moment, moment // 5 + 20) for moment in range(0, 1300, 200)])
    assert [round(image.relative, 3) for image in images] == [0, 0.5, 1.0]
    assert [abs(level(image) - shade) < 20 for image, shade in zip(images, (20, 100, 220), strict=True)] == [True] * 3


def test_two_pictures_of_one_moment_are_one_in_every_output(tmp_path):
    items = [picture(0, 20), picture(0, 90), picture(500, 30), picture(500, 200), picture(1000, 40)]
    config = RecordingConfig(live_video_png=True, video_separate=True)
    _, artifacts, told = record(tmp_path, items, config)
    assert [round(event.relative, 3) for event in told if isinstance(event, VideoImage)] == [0, 0.5, 1.0]
    assert [artifacts[kind].status for kind in ("video_mixed", "video_separate")] == ["done", "done"]


def test_a_camera_that_went_off_sends_no_more_pictures(tmp_path):
    off = ParticipantNotice("webcam_off", 7, None, T0 + 600)
    images = live_images(tmp_path, [picture(0), picture(400), off, *(sound(index) for index in range(200)), picture(4000)])
    assert [round(image.relative, 3) for image in images] == [0, 0.5, 4.0]


def test_a_picture_that_is_not_renewed_is_not_repeated_for_ever(tmp_path):
    images = live_images(tmp_path, [picture(0), picture(10_000)])
    assert [round(image.relative, 3) for image in images] == [0, 0.5, 1.0, 1.5, 2.0, 10.0]


def test_the_recording_begins_with_the_sound_from_before_the_join(tmp_path):
    """Zoom delivers buffered audio after the join, but no older video: the first packet to come need not be the earliest."""
    items = [picture(1000), picture(1200), *(sound(index) for index in range(100))]
    tape, artifacts, told = record(tmp_path, items, RecordingConfig(audio_mixed=("raw",)))
    assert tape.started_at == T0 / 1000
    assert artifacts["audio_mixed"].path.read_bytes() == SOUND.tobytes()
    assert isinstance(told[0], FirstPacket)


def test_pictures_alone_begin_after_a_while(tmp_path):
    tape, _, told = record(tmp_path, [picture(moment) for moment in range(0, 4000, 200)])
    assert tape.started_at == T0 / 1000
    assert FirstPacket(T0 / 1000) in told


@settings(max_examples=10, deadline=None)
@given(st.permutations([("video", moment) for moment in (0, 200, 400, 600)] + [("deskshare", 100), ("deskshare", 500), ("off", 300)]))
def test_sockets_out_of_step_by_less_than_a_second_make_the_same_film(tmp_path_factory, order):
    def item(kind, moment):
        return ParticipantNotice("webcam_off", 7, None, T0 + moment) if kind == "off" else picture(moment, moment // 4 + 20, kind=kind)

    def film(items):
        _, artifacts, _ = record(tmp_path_factory.mktemp("film"), [sound(0), *items, sound(200)], RecordingConfig())
        with av.open(str(artifacts["video_mixed"].path)) as container:
            return [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]

    by_kind = sorted(order, key=lambda pair: pair[0])  # each socket in order, one after the other
    assert film([item(*pair) for pair in by_kind]) == film([item(*pair) for pair in sorted(order, key=lambda pair: pair[1])])


def test_audio_only_has_no_pictures(tmp_path):
    _, artifacts, _ = record(tmp_path, [sound(index) for index in range(50)], RecordingConfig(layout="audio_only"))
    with av.open(str(artifacts["video_mixed"].path)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_a_meeting_without_cameras_is_a_black_film_of_its_length(tmp_path):
    _, artifacts, _ = record(tmp_path, [sound(index) for index in range(150)], RecordingConfig())
    with av.open(str(artifacts["video_mixed"].path)) as container:
        durations = {stream.type: float((stream.duration or 0) * (stream.time_base or 0)) for stream in container.streams}
        assert durations["video"] == pytest.approx(3, abs=0.2)
        assert durations["audio"] == pytest.approx(3, abs=0.07)
        assert max(frame.to_ndarray(format="gray").max() for frame in container.decode(video=0)) < 20


def take_all(directory, items):
    """The size of the MP4 before it was completed, and the finished one's durations and moments of pictures."""
    tape = RecordingWriter(RecordingConfig(), REQUEST, directory, lambda _: None, {})
    for item in items:
        tape.take(item)
    path = directory / "video_mixed.mp4"
    written = path.stat().st_size
    tape.finish()
    with av.open(str(path)) as container:
        durations = {stream.type: float((stream.duration or 0) * (stream.time_base or 0)) for stream in container.streams}
        return written / path.stat().st_size, durations, [frame.time for frame in container.decode(video=0)]


def test_a_long_meeting_without_cameras_has_pictures_all_along(tmp_path):
    """Each fragment needs some: otherwise the pictures would be as long as the first fragment, for whoever reads its table."""
    written, durations, moments = take_all(tmp_path, [sound(index * 50) for index in range(401)])
    assert durations == {"video": pytest.approx(400, abs=0.3), "audio": pytest.approx(400, abs=0.3)}
    assert moments == list(range(0, 401, 5))
    assert written > (400_000 - LACKING_MS) / 400_000 / 2


def test_pictures_without_any_sound_are_written_as_they_come(tmp_path):
    written, durations, moments = take_all(tmp_path, [picture(2000 * index, level=20 + index % 200) for index in range(201)])
    assert moments[:201] == list(range(0, 401, 2))
    assert durations["video"] == pytest.approx(400, abs=0.5)
    assert written > (400_000 - LACKING_MS) / 400_000 / 2


@pytest.mark.parametrize("first", ["audio", "video"])
def test_a_socket_that_is_minutes_behind_loses_nothing(tmp_path, first):
    """When Zoom sends faster than real time, sockets' buffers hold minutes."""
    sounds = [sound(index) for index in range(4 * 60 * 50)]
    pictures = [picture(2000 * index) for index in range(120)]
    ahead, behind = (sounds, pictures) if first == "audio" else (pictures, sounds)
    config = RecordingConfig(audio_mixed=("raw",))
    tape, artifacts, _ = record(tmp_path, [sound(0), *ahead, *behind], config)
    assert tape.counts["late"] == 1  # the first piece of sound, which came twice
    with av.open(str(artifacts["video_mixed"].path)) as container:
        assert [frame.time for frame in container.decode(video=0)][:120] == list(range(0, 240, 2))
    assert artifacts["audio_mixed"].path.read_bytes() == b"".join(packet.data for packet in sounds)


def test_who_speaks_again_after_an_hour_is_heard_again(tmp_path):
    minute = 60 * 50  # packets
    items = [sound(0, 7), *(sound(index * minute, 8) for index in range(70)), sound(65 * minute, 7)]
    items.sort(key=lambda packet: packet.timestamp_ms)
    config = RecordingConfig(video_mixed=False, audio_separate=("raw",))
    _, artifacts, _ = record(tmp_path, items, config)
    first = next(part for part in artifacts["audio_separate"].parts if part.participant.id == 7)
    assert first.duration == 65 * 60 + 0.02
    with first.path.open("rb") as file:
        file.seek(-2 * PACKET, 2)
        assert file.read() == sound(65 * minute, 7).data


def test_captions_alone_are_told_while_they_come(tmp_path):
    captions = [Caption(7, "Ada", "hello", T0 + moment, T0 + moment + 500, 9, 0) for moment in range(0, 90_000, 1000)]
    told = []
    tape = RecordingWriter(RecordingConfig(transcript=True), REQUEST, tmp_path, told.append, {})
    for caption in captions:
        tape.take(caption)
    assert len(told) == 90
    tape.finish()
    assert len(json.loads((tmp_path / "transcript.json").read_bytes())) == 90


def test_captions_that_overtake_the_sound_do_not_cut_it(tmp_path):
    items = [Caption(7, "Ada", "hello", T0 + moment, T0 + moment + 500, 9, 0) for moment in range(500, 9_000, 1000)]
    tape, artifacts, _ = record(tmp_path, [*items, *(sound(index) for index in range(100))], RecordingConfig(audio_mixed=("raw",)))
    assert tape.started_at == T0 / 1000
    assert artifacts["audio_mixed"].path.read_bytes() == SOUND.tobytes()


def test_without_anything_there_is_nothing(tmp_path):
    tape, artifacts, told = record(tmp_path, [])
    assert (tape.started_at, tape.completed_at, tape.has_content, told) == (None, None, False, [])
    assert {artifacts[kind].sub_code for kind in ("video_mixed", "audio_mixed", "audio_separate", "video_separate")} == {
        "zoom_rtms_no_media"
    }


def test_a_kind_that_could_not_be_had_fails_its_artifact_alone(tmp_path):
    lacking = {"transcript": "zoom_rtms_media_type_transcript_not_support", "video": "zoom_rtms_media_not_offered"}
    _, artifacts, _ = record(tmp_path, [sound(index, 7) for index in range(9)], unavailable=lacking)
    assert (artifacts["transcript"].status, artifacts["transcript"].sub_code) == ("failed", lacking["transcript"])
    assert artifacts["video_separate"].sub_code == lacking["video"]
    assert (artifacts["video_mixed"].status, artifacts["audio_mixed"].status) == ("done", "done")


def test_captions_that_came_before_their_socket_was_lost_are_kept(tmp_path):
    lacking = {"transcript": "zoom_rtms_handshake_timeout"}
    _, artifacts, _ = record(tmp_path, [sound(0), Caption(7, "Ada", "hello", T0, T0 + 9, 9, 0)], unavailable=lacking)
    assert artifacts["transcript"].status == "done"


def test_impossible_timestamps_and_pictures_are_counted_and_left_out(tmp_path):
    garbage = Packet("video", 7, None, b"\xff\xd8 this is no picture", T0 + 40)
    items = [sound(0), Packet("audio", 0, None, b"\x01\x02", T0 + 10**11), garbage, sound(1)]
    tape, artifacts, _ = record(tmp_path, items, RecordingConfig(audio_mixed=("raw",)))
    assert +tape.counts == {"impossible_timestamp": 1, "undecodable": 1}
    assert artifacts["audio_mixed"].path.read_bytes() == SOUND[: 2 * PACKET].tobytes()


def test_when_the_disk_is_full_what_fits_is_kept(tmp_path):
    """The kernel refuses to let files grow beyond 20 kB: pictures and sound fail, with the reason; the texts are complete."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    items = [
        ParticipantNotice("join", 7, "Ada", T0),
        *(sound(index, 7) for index in range(1000)),
        Caption(7, None, "hello", T0, T0 + 9, 9, 0),
    ]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        _, artifacts, _ = record(tmp_path, items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    failed = {kind: artifact.sub_code for kind, artifact in artifacts.items() if artifact.status == "failed"}
    full = dict.fromkeys(("video_mixed", "audio_mixed", "audio_mixed_raw", "audio_separate"), "storage_full")
    assert failed == full | {"video_separate": "zoom_rtms_no_media"}
    assert json.loads(artifacts["transcript"].path.read_bytes())[0]["words"][0]["text"] == "hello"
    assert not (tmp_path / "audio_mixed.raw").exists()


MOMENTS = st.integers(T0 - 10_000, T0 + 60_000) | st.sampled_from([1, T0 + 10**10])  # near, or impossible


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(
                Packet,
                st.sampled_from(["audio", "video", "deskshare"]),
                st.integers(0, 3),
                st.sampled_from([None, "Ada"]),
                st.binary(max_size=700),
                MOMENTS,
            ),
            st.builds(
                lambda user, text, start, length, attribute: Caption(user, None, text, start, start + length, None, attribute),
                st.integers(0, 3),
                st.text(),
                MOMENTS,
                st.integers(0, 600_000),
                st.integers(0, 3),
            ),
            st.builds(
                ParticipantNotice,
                st.sampled_from(["join", "leave", "active_speaker", "webcam_on", "webcam_off", "screenshare_on", "screenshare_off"]),
                st.none() | st.integers(0, 3),
                st.none(),
                MOMENTS,
            ),
        ),
        max_size=30,
    )
)
def test_any_packets_make_a_recording(tmp_path_factory, items):
    """Garbage never raises, and what is called done can be opened."""
    _, artifacts, _ = record(tmp_path_factory.mktemp("any"), items)
    for kind, artifact in artifacts.items():
        if artifact.path and artifact.format == "json":
            json.loads(artifact.path.read_bytes())
        elif artifact.path and kind == "video_mixed":
            with av.open(str(artifact.path)) as container:
                assert container.streams
