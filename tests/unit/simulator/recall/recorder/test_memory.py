"""Memory does not grow with the meeting: what is written piles up on the disk, and a file that is complete leaves nothing behind."""

import gc
import json
from fractions import Fraction

import av
import numpy as np
import pytest
from tests.benchmarks.soak import resident_mib

from rtms_simulator.recall.recorder.audio import RATE, Mp3File
from rtms_simulator.recall.recorder.values import Participant, RecordingConfig, StreamRequest
from rtms_simulator.recall.recorder.video.pictures import black
from rtms_simulator.recall.recorder.video.video import Mp4File, SeparateVideo
from rtms_simulator.recall.recorder.writer import RecordingWriter
from rtms_simulator.recall.rtms.actions import Caption, ParticipantNotice

T0 = 1_795_334_284_858
SIZE = (64, 36)
PICTURE_MS = 200
AAC_SAMPLES = 1024  # of one packet
HOUR_MS = 3_600_000
FLAT_MIB_PER_HOUR = 0.5
HOURS = 6


def encoded(mp4):
    """A second of pictures and a second of sound from the file's own encoders: (data, whether a key frame) of each packet."""
    found = {"video": [], "audio": []}
    if mp4._video is not None:
        for moment in range(0, 1000, PICTURE_MS):
            frame = av.VideoFrame.from_ndarray(black(SIZE), format="yuv420p")
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            found["video"] += mp4._video.encode(frame)
    if mp4._audio is not None:
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), "<i2"), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = 0, RATE, Fraction(1, RATE)
        found["audio"] += mp4._audio.encode(frame)
    return {kind: [(bytes(packet), packet.is_keyframe) for packet in packets] for kind, packets in found.items()}


def fill(mp4, packets, begin_ms, end_ms, *, keys=True):
    """Hours of packets straight into the muxer, as fast as it takes them; encoding them would take minutes."""
    pictures, sounds = packets["video"], packets["audio"]
    sound = -(-begin_ms * RATE // (1000 * AAC_SAMPLES))
    for number in range(begin_ms // PICTURE_MS, end_ms // PICTURE_MS):
        moment = number * PICTURE_MS
        if pictures:
            picture = pictures[0] if not number or (keys and number % 50 == 0) else pictures[1]
            put(mp4, mp4._video, picture, moment, PICTURE_MS, Fraction(1, 1000))
        while sounds and sound * AAC_SAMPLES * 1000 < (moment + PICTURE_MS) * RATE:
            put(mp4, mp4._audio, sounds[sound % len(sounds)], (sound - 1) * AAC_SAMPLES, AAC_SAMPLES, Fraction(1, RATE))
            sound += 1


def put(mp4, stream, encoded_packet, moment, duration, time_base):
    packet = av.Packet(encoded_packet[0])
    packet.is_keyframe = encoded_packet[1]
    packet.pts = packet.dts = moment
    packet.duration, packet.time_base, packet.stream = duration, time_base, stream
    mp4._container.mux(packet)


@pytest.mark.parametrize("kinds", ["video and audio", "audio", "video", "video without key frames"])
def test_an_mp4_of_many_hours_takes_no_more_memory_than_one_of_two(tmp_path, kinds):
    path = tmp_path / "long.mp4"
    mp4 = Mp4File(path, None if kinds == "audio" else SIZE, 1000 // PICTURE_MS, sound="audio" in kinds)
    packets, keys = encoded(mp4), "without" not in kinds
    fill(mp4, packets, 0, 2 * HOUR_MS, keys=keys)
    early = resident_mib()
    fill(mp4, packets, 2 * HOUR_MS, HOURS * HOUR_MS, keys=keys)
    assert resident_mib() - early < FLAT_MIB_PER_HOUR * (HOURS - 2)
    mp4._container.close()
    with av.open(str(path)) as container:
        durations = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in container.streams]
        assert durations == pytest.approx([HOURS * 3600] * len(durations), abs=0.3)


def test_texts_of_many_hours_take_next_to_no_memory(tmp_path):
    tape = RecordingWriter(
        RecordingConfig(video_mixed=False, transcript=True), StreamRequest("u", "s", "wss://x", "x"), tmp_path, lambda _: None, {}
    )
    seen = {}
    for second in range(0, HOURS * 3600, 6):
        moment, who = T0 + 1000 * second, second % 10 + 1
        tape.take(ParticipantNotice("active_speaker", who, f"Person {who}", moment))
        tape.take(Caption(who, f"Person {who}", "a few words, and then a few more", moment, moment + 2500, 9, 0))
        seen[second // 3600] = resident_mib()
    assert seen[HOURS - 1] - seen[1] < FLAT_MIB_PER_HOUR * (HOURS - 2)
    tape.finish()
    assert len(json.loads((tmp_path / "transcript.json").read_bytes())) == HOURS * 600


def left_behind():
    return [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, (av.CodecContext, av.container.OutputContainer))]


def test_a_complete_file_leaves_no_encoder_behind(tmp_path):
    """An encoder takes megabytes, and the garbage collector does not know: without it, nothing may remain."""
    gc.collect()
    gc.disable()
    try:
        before = left_behind()
        picture = av.VideoFrame.from_ndarray(black(SIZE), format="yuv420p")
        separate = SeparateVideo(tmp_path, SIZE, 5)
        for person in range(6):
            separate.add("video", Participant(person), picture, 1000 * person)
        assert len(separate.close(0)) == 6
        mp4 = Mp4File(tmp_path / "a.mp4", SIZE, 5)
        mp4.show(black(SIZE), 0)
        for writer in (mp4, Mp3File(tmp_path / "a.mp3")):
            writer.silence(RATE)
            writer.close()
        abandoned = Mp4File(tmp_path / "b.mp4", SIZE, 5)
        abandoned.show(black(SIZE), 0)
        abandoned.abandon()
        del mp4, writer, abandoned
        assert left_behind() == before
    finally:
        gc.enable()
