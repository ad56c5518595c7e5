"""What a media file holds, and how much of it is played: tracks, changes, gaps, damage and ends, each told with its place."""

import io
import tracemalloc
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image
from tests.property.media.recordings import Writer, tone

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import load
from rtms_simulator.zoom.media import MediaSource, recording
from rtms_simulator.zoom.media.recording import MediaFile, read_recording
from rtms_simulator.zoom.media.sound import sound_scan

STAND_UP = load("stand-up")


def remarks(read: MediaFile) -> list[tuple[str, float | None, str]]:
    return [(remark.kind, remark.at_s, remark.what) for remark in read.remarks]


def loud(path: Path) -> list[tuple[float, float]]:
    """From when to when the played sound is loud, in seconds, in steps of 50 ms."""
    sound = np.concatenate(list(MediaSource(STAND_UP, media_file=path).mixed_samples()))
    steps = np.abs(sound[: len(sound) // 800 * 800].reshape(-1, 800).astype(int)).max(axis=1) > 1000
    edges = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(int)))
    return [(round(begin * 0.05, 2), round(end * 0.05, 2)) for begin, end in edges.reshape(-1, 2).tolist()]


def wav(path: Path, seconds: float = 1.0, rate: int = 16_000, channels: int = 1, width: int = 2) -> Path:
    samples = tone(seconds, rate, channels).reshape(-1)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(((samples >> 8) + 128).astype(np.uint8).tobytes() if width == 1 else samples.tobytes())
    return path


def film(path: Path, seconds: int = 3, sound_from: int | None = 0) -> Path:
    """Pictures of noise, five a second, and a tone that begins late."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=5)
        assert isinstance(pictures, av.VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 160, 120, "yuv420p"
        pictures.options = {"g": "5"}
        sound = container.add_stream("aac", rate=16_000) if sound_from is not None else None
        if isinstance(sound, av.AudioStream):
            sound.layout = "mono"
        for number in range(seconds * 5):
            noise = np.random.default_rng(number).integers(0, 255, (120, 160, 3), dtype=np.uint8)
            picture = av.VideoFrame.from_image(Image.fromarray(noise))
            picture.pts, picture.time_base = number, Fraction(1, 5)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        if isinstance(sound, av.AudioStream) and sound_from is not None:
            samples = tone(seconds - sound_from, 16_000)
            for at in range(0, samples.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, at : at + 1024]), format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 16_000, sound_from * 16_000 + at, Fraction(1, 16_000)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


# --- tracks


def test_the_first_track_that_is_not_silent_plays_and_the_others_are_named(tmp_path):
    path = tmp_path / "two.mp4"
    Writer(path, "mp4").write("aac", 16_000, 1, np.zeros_like(tone(1, 16_000)), tone(1, 16_000), tone(1, 16_000))
    read = read_recording(path)
    assert [(track.index, track.plays) for track in read.tracks] == [(0, False), (1, True), (2, False)]
    assert remarks(read) == [("note", None, "sound track 1 is played; not played: 0 (aac, SoundHandler), 2 (aac, SoundHandler)")]
    assert loud(path) == [(0.0, 1.0)]


def test_the_default_track_plays_before_one_that_stands_first(tmp_path):
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=16_000) for _ in range(2)]
        for stream, flag in zip(streams, (Disposition(0), Disposition.default), strict=True):
            assert isinstance(stream, av.AudioStream)
            stream.layout, stream.disposition = "mono", flag
        for stream in streams:
            assert isinstance(stream, av.AudioStream)
            for at in range(0, 16_000, 1024):
                frame = av.AudioFrame.from_ndarray(tone(0.064, 16_000), format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 16_000, at, Fraction(1, 16_000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert [track.plays for track in read_recording(path).tracks] == [False, True]


def test_tracks_that_are_all_silent_are_silence_and_said(tmp_path):
    path = tmp_path / "two.mp4"
    Writer(path, "mp4").write("aac", 16_000, 1, np.zeros_like(tone(1, 16_000)), np.zeros_like(tone(1, 16_000)))
    assert ("note", None, "the sound is silent throughout") in remarks(read_recording(path))
    assert loud(path) == []


def test_a_cover_picture_is_no_film(tmp_path):
    path = tmp_path / "cover.mp3"
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("libmp3lame", rate=16_000), container.add_stream("png", rate=1)
        assert isinstance(sound, av.AudioStream)
        assert isinstance(cover, av.VideoStream)
        sound.layout = "mono"
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 32, "rgb24", Disposition.attached_pic
        for at in range(0, 16_000, 1000):
            frame = av.AudioFrame.from_ndarray(tone(1 / 16, 16_000), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, at, Fraction(1, 16_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        picture = av.VideoFrame.from_image(Image.new("RGB", (32, 32)))
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
    read = read_recording(path)
    assert (read.has_audio, read.has_video) == (True, False)
    assert [track.kind for track in read.tracks] == ["sound", "cover picture"]


# --- every rate, width and number of channels; every suffix


@pytest.mark.parametrize(("rate", "channels", "width"), [(8_000, 1, 1), (11_025, 1, 2), (96_000, 1, 2), (44_100, 2, 2), (16_000, 6, 2)])
def test_every_kind_of_samples_is_heard_whole(tmp_path, rate, channels, width):
    path = wav(tmp_path / "x.wav", rate=rate, channels=channels, width=width)
    assert read_recording(path).duration_ms == 1000
    assert loud(path) == [(0.0, 1.0)]


@pytest.mark.parametrize("suffix", [".mp4", ".m4a", ".mp3"])
def test_a_wrong_suffix_does_not_matter(tmp_path, suffix):
    path = wav(tmp_path / "x.wav").rename(tmp_path / f"x{suffix}")
    assert loud(path) == [(0.0, 1.0)]


def test_a_wav_that_was_streamed_has_no_length_in_its_head_and_is_heard_whole(tmp_path):
    path = wav(tmp_path / "x.wav")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:])
    assert remarks(read_recording(path)) == []
    assert loud(path) == [(0.0, 1.0)]


# --- gaps, damage, ends


def test_sound_that_begins_late_is_told_and_keeps_its_place(tmp_path):
    path = film(tmp_path / "late.mp4", sound_from=1)
    [(kind, at_s, what)] = remarks(read_recording(path))
    assert (kind, at_s) == ("note", 0.0)
    assert what.startswith("no sound in the file for 0.9")
    [(begin, end)] = loud(path)
    assert (begin, end) == (pytest.approx(1.0, abs=0.1), 3.0)


def test_damage_in_the_middle_is_told_with_its_place_and_the_rest_is_played(tmp_path):
    path = tmp_path / "x.mp3"
    Writer(path, "mp3").write("libmp3lame", 44_100, 1, tone(3, 44_100))
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(1500) + data[middle + 1500 :])
    read = read_recording(path)
    lost = [remark for remark in read.remarks if remark.kind == "lost"]
    assert lost[0].at_s == pytest.approx(1.5, abs=0.1)
    assert sum(remark.lost_s for remark in lost) == pytest.approx(3 - read.sound_s, abs=0.03)
    assert loud(path)[0][0] < 0.1
    assert loud(path)[-1][1] > 2.7


def test_pictures_that_cannot_be_decoded_are_told_with_their_place(tmp_path):
    path = film(tmp_path / "x.mp4", seconds=6)
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + len(data) // 3
    data[begin : begin + 9000] = np.random.default_rng(1).bytes(9000)
    path.write_bytes(data)
    read = read_recording(path)
    assert any(remark.kind == "lost" and "picture" in remark.what and 1 < (remark.at_s or 0) < 5 for remark in read.remarks)
    assert list(MediaSource(STAND_UP, media_file=path).video({"fps": 1, "resolution": 1}))


def test_a_cut_file_lasts_as_long_as_what_is_there(tmp_path):
    path = wav(tmp_path / "x.wav", 2.0)
    path.write_bytes(path.read_bytes()[:-32_000])
    read = read_recording(path)
    assert (read.duration_ms, [(remark.kind, remark.at_s, remark.lost_s) for remark in read.remarks]) == (1000, [("lost", 1.0, 1.0)])


def test_two_recordings_in_one_file_are_both_heard(tmp_path):
    path = tmp_path / "both.wav"
    path.write_bytes(wav(tmp_path / "a.wav", 1.0).read_bytes() + wav(tmp_path / "b.wav", 0.5, 44_100, 2).read_bytes())
    read = read_recording(path)
    assert (read.duration_ms, len(read.parts)) == (1500, 2)
    assert loud(path) == [(0.0, 1.5)]
    source = MediaSource(STAND_UP, media_file=path)
    late = np.frombuffer(b"".join(packet.data for packet in source.audio_mixed({}, start_ms=1200)), "<i2")
    assert np.abs(late[:4800].astype(int)).max() > 1000


def test_bytes_behind_a_recording_are_told(tmp_path):
    path = wav(tmp_path / "x.wav")
    path.write_bytes(path.read_bytes() + b"no chunk" * 10)
    assert remarks(read_recording(path)) == [("note", 1.0, "80 bytes behind the recording are no part of it")]


def test_more_than_the_longest_meeting_is_told_and_not_waited_for(tmp_path, monkeypatch):
    longest_s, hours = 600, 30  # 18 hours of frames take a busy machine minutes
    for module in (recording, sound_scan):
        monkeypatch.setattr(module, "LONGEST_S", longest_s)
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        size = hours * 3600 * 100
        head = b"WAVEfmt " + (16).to_bytes(4, "little") + bytes([7, 0, 1, 0]) + (100).to_bytes(4, "little") * 2 + bytes([1, 0, 8, 0])
        file.write(b"RIFF" + (size + 36).to_bytes(4, "little") + head + b"data" + size.to_bytes(4, "little"))
        file.truncate(44 + size)
    read = read_recording(path)
    assert read.duration_ms == longest_s * 1000
    assert [(remark.kind, remark.at_s, remark.lost_s) for remark in read.remarks if remark.lost_s] == [
        ("lost", float(longest_s), hours * 3600.0 - longest_s)
    ]


# --- what is no recording

NOT_MEDIA = [
    (b"", "it is empty (0 bytes)", "again"),
    (b"<!doctype html><title>Sign in</title>", "it is a web page (HTML)", "signed in"),
    (b"\n  <HTML>", "it is a web page (HTML)", "signed in"),
    (b'<?xml version="1.0"?><Error/>', "it is XML", "download"),
    (b'{"code":124}', "it is JSON", "download"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull"),
    (b"%PDF-1.7", "it is a PDF", "export"),
    (b"PK\x03\x04", "it is a ZIP archive", "unpack"),
    (bytes(3000), "nothing but zero bytes", "download it again"),
    (b"WEBVTT\n\n", "it is a WebVTT transcript", "--transcript"),
    (b"Dear diary", "it is text", "export"),
    (b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x10mdat" + bytes(8), "its index (the moov box) is missing", "to its end"),
]


@pytest.mark.parametrize(("content", "says", "do"), NOT_MEDIA, ids=[row[1] for row in NOT_MEDIA])
def test_what_is_no_recording_is_called_what_it_is(tmp_path, content, says, do):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaFileError) as caught:
        read_recording(path)
    assert says in str(caught.value)
    assert do in caught.value.do


# --- bounds


def test_memory_stays_flat_for_long_media(tmp_path):
    """Reading and playing ten minutes takes no more memory than one minute."""
    peaks: list[int] = []
    for minutes in (1, 10):
        path = wav(tmp_path / f"{minutes}.wav", minutes * 60, 8_000)
        tracemalloc.start()
        source = MediaSource(STAND_UP, media_file=path)
        assert sum(len(second) for second in source.mixed_samples(8_000)) == minutes * 60 * 8_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3 + 200_000, peaks


def test_a_picture_of_the_film_is_shown_in_each_part(tmp_path):
    one, two = film(tmp_path / "a.mp4", 2), film(tmp_path / "b.mp4", 2)
    path = tmp_path / "both.mp4"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    packets = list(MediaSource(STAND_UP, media_file=path).video({"fps": 1, "resolution": 1}))
    assert [packet.at_ms for packet in packets] == [0, 1000, 2000, 3000]
    first, _, third, _ = (np.asarray(Image.open(io.BytesIO(packet.data)).convert("L")).astype(int) for packet in packets)
    assert np.abs(first - third).mean() < 8  # both begin with the same picture
