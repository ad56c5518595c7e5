"""A person's own recording and transcript are played as a meeting; a file that cannot be is named with what is supported.

The media files are made here, with PyAV, from a generated meeting, so that what comes back can be compared to the sample.
"""

import io
import random
import re
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rtms_simulator.scenario import LONGEST_S, load, names
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.zoom.media import MediaFileError, MediaSource, read_time_code
from rtms_simulator.zoom.media.recording import read_recording
from rtms_simulator.zoom.media.transcripts import Cue, read_transcript
from rtms_simulator.zoom.rtms.enums import Codec, DataOption, MediaType, Resolution

STAND_UP = load("stand-up")
ORIGINAL = MediaSource(STAND_UP)
TRUTH = np.concatenate(list(ORIGINAL.mixed_samples()))

ZOOM_VTT = """\ufeffWEBVTT

1
00:00:00.500 --> 00:00:03.100
Ada Lovelace: Good morning. What did we ship: nothing?

2
00:00:03.300 --> 00:00:06.200
Ken Thompson: The hand-off &amp; the moth.

3
00:00:06.250 --> 00:00:07.000
Ada Lovelace: Right.
"""
ZOOM_CAPTIONS = """[Ada Lovelace] 10:02:15
Good morning.
It is early.

[Ken Thompson] 10:02:20
Is it?
[Ada Lovelace] 10:02:20
Yes.
"""


def write_media(path: Path, audio: str | None = None, rate: int = 48_000, *, video: bool = False) -> Path:
    """The stand-up as a media file, its pictures with their time codes."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=10) if video else None
        sound = container.add_stream(audio, rate=rate) if audio else None
        if sound is not None:
            assert isinstance(sound, av.AudioStream)
            sound.layout = "mono"
        if pictures is not None:
            assert isinstance(pictures, av.VideoStream)
            pictures.width, pictures.height, pictures.pix_fmt = 640, 360, "yuv420p"
            pictures.options = {"preset": "ultrafast", "bf": "0"}
            for packet in ORIGINAL.video({"codec": Codec.JPG, "fps": 5, "resolution": Resolution.SD}):
                frame = av.VideoFrame.from_image(Image.open(io.BytesIO(packet.data)))
                frame.pts, frame.time_base = packet.at_ms, Fraction(1, 1000)
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        if sound is not None:
            at = 0
            for block in ORIGINAL.mixed_samples(rate):
                heard = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = rate, at, Fraction(1, rate)
                at += len(block)
                container.mux(sound.encode(heard))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return {
        ".wav": write_media(folder / "x.wav", "pcm_s16le", 16_000),
        ".m4a": write_media(folder / "x.m4a", "aac"),
        ".mp3": write_media(folder / "x.mp3", "libmp3lame"),
        ".mp4": write_media(folder / "x.mp4", "aac", video=True),
        "silent.mp4": write_media(folder / "silent.mp4", video=True),
    }


def sound_of(source: MediaSource, **more) -> np.ndarray:
    return np.frombuffer(b"".join(packet.data for packet in source.audio_mixed({}, **more)), "<i2")


# --- media


def test_a_wav_file_is_heard_to_the_sample(recordings):
    source = MediaSource(STAND_UP, media_file=recordings[".wav"])
    assert source.scenario.duration_s == 12.0
    assert np.array_equal(sound_of(source), TRUTH)
    assert np.array_equal(sound_of(source, start_ms=5_000), TRUTH[80_000:])


@pytest.mark.parametrize("kind", [".m4a", ".mp3", ".mp4"])
@pytest.mark.parametrize("start_ms", [0, 5_000])
def test_a_compressed_file_is_heard_at_the_right_moment(recordings, kind, start_ms):
    got = sound_of(MediaSource(STAND_UP, media_file=recordings[kind]), start_ms=start_ms).astype(float)
    part = TRUTH[start_ms * 16 : start_ms * 16 + 100_000].astype(float)
    assert np.corrcoef(part, got[: len(part)])[0, 1] > 0.9


@pytest.mark.parametrize("kind", [".m4a", ".mp3", ".mp4"])
def test_a_late_start_is_right_from_its_first_moment(recordings, kind):
    whole = sound_of(MediaSource(STAND_UP, media_file=recordings[kind]))
    late = sound_of(MediaSource(STAND_UP, media_file=recordings[kind]), start_ms=5_040)
    assert np.corrcoef(whole[5_040 * 16 :][:480].astype(float), late[:480].astype(float))[0, 1] > 0.9


def test_the_first_person_speaks_when_no_transcript_says_who(recordings):
    source = MediaSource(STAND_UP, media_file=recordings[".wav"])
    multi = list(source.audio_multi({}))
    assert {packet.user_name for packet in multi} == {"Ada Lovelace"}
    assert np.array_equal(np.frombuffer(b"".join(packet.data for packet in multi), "<i2"), TRUTH)
    assert list(source.transcript({})) == []


def test_the_files_pictures_are_shown_at_their_time_in_any_size(recordings):
    source = MediaSource(STAND_UP, media_file=recordings[".mp4"])
    for params in ({"resolution": Resolution.SD}, {"resolution": Resolution.HD}, {"resolution": Resolution.SD, "codec": Codec.PNG}):
        packets = list(source.video(params | {"fps": 2}, start_ms=3_300))
        codes = [read_time_code(Image.open(io.BytesIO(packet.data))) for packet in packets]
        assert [packet.at_ms for packet in packets] == list(range(3_500, 12_000, 500))
        # The file has five pictures a second.
        assert codes == [at - at % 200 for at in range(3_500, 12_000, 500)]


def test_pictures_of_another_shape_get_black_bars(tmp_path):
    path = tmp_path / "tall.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 120, 240, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_image(Image.new("RGB", (120, 240), (255, 255, 255)))
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    packet = next(MediaSource(STAND_UP, media_file=path).video({"resolution": Resolution.SD}))
    image = Image.open(io.BytesIO(packet.data)).convert("L")
    assert image.size == (640, 360)
    assert [image.getpixel(at) for at in ((20, 180), (620, 180))] == [pytest.approx(0, abs=8)] * 2
    assert image.getpixel((320, 10)) == pytest.approx(255, abs=8)


def test_a_video_without_sound_is_silent_but_for_the_transcript(recordings, tmp_path):
    vtt = tmp_path / "x.vtt"
    vtt.write_text(ZOOM_VTT, encoding="utf-8")
    assert read_recording(recordings["silent.mp4"]).has_audio is False
    source = MediaSource(STAND_UP, media_file=recordings["silent.mp4"], transcript_file=vtt)
    heard = sound_of(source)
    assert np.abs(heard[8_000:40_000].astype(int)).max() > 3_000
    assert not heard[150_000:].any()


# --- transcript and media together


def test_a_transcript_says_whose_the_sound_is(recordings, tmp_path):
    vtt = tmp_path / "meeting.vtt"
    vtt.write_text(ZOOM_VTT, encoding="utf-8")
    source = MediaSource(STAND_UP, media_file=recordings[".wav"], transcript_file=vtt)
    assert [person.name for person in source.scenario.people] == ["Ada Lovelace", "Ken Thompson"]
    assert source.scenario.people[0] == STAND_UP.people[0]
    own: dict[str | None, np.ndarray] = {}
    for packet in source.packets(MediaType.AUDIO, {"data_opt": DataOption.AUDIO_MULTI_STREAMS}):
        line = own.setdefault(packet.user_name, np.zeros_like(TRUTH))
        line[packet.at_ms * 16 : packet.at_ms * 16 + 320] = np.frombuffer(packet.data, "<i2")
    for name, start, end in (("Ada Lovelace", 500, 3_100), ("Ken Thompson", 3_300, 6_200)):
        assert np.array_equal(own[name][start * 16 : end * 16], TRUTH[start * 16 : end * 16])
    assert not own["Ken Thompson"][: 3_300 * 16].any()
    assert np.array_equal(sound_of(source), TRUTH)
    assert [who.name for _at, who in source.scenario.speakers()] == ["Ada Lovelace", "Ken Thompson", "Ada Lovelace"]
    assert {packet.user_name for packet in source.video({"fps": 1, "resolution": 1})} == {"Ada Lovelace", "Ken Thompson"}


def test_a_transcript_alone_is_spoken_by_generated_voices(tmp_path):
    vtt = tmp_path / "meeting.vtt"
    vtt.write_text(ZOOM_VTT, encoding="utf-8")
    source = MediaSource(STAND_UP, transcript_file=vtt)
    assert source.scenario.duration_s == 7.0
    assert [packet.data.decode() for packet in source.transcript({})] == [
        "Good morning. What did we ship: nothing?",
        "The hand-off & the moth.",
        "Right.",
    ]
    assert len({packet.user_id for packet in source.audio_multi({})}) == 2


def test_what_else_the_scenario_does_stays(tmp_path):
    srt = tmp_path / "x.srt"
    srt.write_text("1\n00:00:00,000 --> 00:00:09,000\nHello\n\n", encoding="utf-8")
    kept = [(a.kind, a.at_s) for a in MediaSource(load("server-fail-over"), transcript_file=srt).scenario.timeline if a.who is None]
    assert kept == [("fail_over", 6.5), ("end", 9.0)]
    beyond = [a.kind for a in MediaSource(load("host-stops-and-reallows"), transcript_file=srt).scenario.timeline if a.who is None]
    assert beyond == ["stop", "reallow", "end"]


def test_what_needs_somebody_who_is_not_there_goes(tmp_path):
    srt = tmp_path / "x.srt"
    srt.write_text("1\n00:00:00,000 --> 00:01:29,000\nMargaret Hamilton: Hello\n\n", encoding="utf-8")
    scenario = MediaSource(load("all-hands-webinar"), transcript_file=srt).scenario
    # The question that is answered at 20 s was an attendee's.
    assert [a.kind for a in scenario.timeline if a.kind in ("chat", "share_start")] == ["share_start"]


def test_a_chat_group_keeps_those_who_are_there(tmp_path):
    script = """
        name = "groups"
        duration_s = 9
        people = [{ name = "Ada" }, { name = "Ken" }, { name = "Grace" }]
        timeline = [
            { at_s = 1, kind = "chat_group", who = "Ada", operation = "create", group = "both", members = ["Ada", "Ken"] },
            { at_s = 1, kind = "chat_group", who = "Ada", operation = "create", group = "away", members = ["Ken"] },
            { at_s = 2, kind = "chat_group", who = "Ada", operation = "add", group = "both", members = ["Grace"] },
            { at_s = 3, kind = "chat", who = "Ada", to = "both", text = "hello" },
            { at_s = 3, kind = "chat", who = "Ada", to = "away", text = "hello" },
            { at_s = 4, kind = "chat_group", who = "Ken", operation = "delete", group = "both" },
        ]
    """
    toml = tmp_path / "groups.toml"
    toml.write_text(script, encoding="utf-8")
    srt = tmp_path / "x.srt"
    srt.write_text("1\n00:00:00,000 --> 00:00:09,000\nAda: Hello\n\n", encoding="utf-8")
    kept = [a for a in MediaSource(load(str(toml)), transcript_file=srt).scenario.timeline if a.kind.startswith("chat")]
    assert [(a.data.get("group") or a.data["to"], list(a.data.get("members", ()))) for a in kept] == [("both", ["Ada"]), ("both", [])]


@pytest.mark.parametrize("samples", [1, 7, 8, 15, 16, 17])
def test_a_recording_of_less_than_a_millisecond_is_a_meeting(tmp_path, samples):
    path = tmp_path / "short.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\1\2" * samples)
    source = MediaSource(STAND_UP, media_file=path)
    assert source.scenario.duration_ms == 1
    assert len(list(source.audio_mixed({}))) == 1


@pytest.mark.parametrize("name", names())
def test_every_scenario_takes_anybodys_files(tmp_path, recordings, name):
    vtt = tmp_path / "x.vtt"
    vtt.write_text(ZOOM_VTT, encoding="utf-8")
    one = load(name).each()[0]
    for files in (
        {"transcript_file": vtt},
        {"media_file": recordings[".wav"]},
        {"media_file": recordings[".wav"], "transcript_file": vtt},
    ):
        assert MediaSource(one, **files).scenario.utterances()


def test_a_name_in_other_letters_is_the_same_person(tmp_path):
    srt = tmp_path / "x.srt"
    cues = ["ADA LOVELACE: One", "Ada Lovelace: Two", "ken: Three", "Ken: Four"]
    srt.write_text("".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{text}\n\n" for n, text in enumerate(cues)), encoding="utf-8")
    scenario = MediaSource(STAND_UP, transcript_file=srt).scenario
    assert [person.name for person in scenario.people] == ["Ada Lovelace", "ken"]
    assert [said.who.name for said in scenario.utterances()] == ["Ada Lovelace", "Ada Lovelace", "ken", "ken"]


def test_a_known_person_keeps_their_language(tmp_path):
    srt = tmp_path / "x.srt"
    srt.write_text("1\n00:00:00,000 --> 00:00:02,000\nzoë müller: Hallo\n\n", encoding="utf-8")
    (said,) = MediaSource(STAND_UP, transcript_file=srt).scenario.utterances()
    assert said.language == LANGUAGES["german"]


# --- transcripts


def read(tmp_path: Path, name: str, text: str) -> tuple[Cue, ...]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_transcript(path).cues


def test_zooms_webvtt_names_the_speaker_in_the_text(tmp_path):
    assert read(tmp_path, "x.vtt", ZOOM_VTT) == (
        Cue(500, 3100, "Ada Lovelace", "Good morning. What did we ship: nothing?"),
        Cue(3300, 6200, "Ken Thompson", "The hand-off & the moth."),
        Cue(6250, 7000, "Ada Lovelace", "Right."),
    )


def test_voice_tags_name_the_speaker(tmp_path):
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada>Good <b>morning</b></v>\n\nNOTE no speech\n\n01:00:00.000 --> 01:00:01.000\nsomebody\n"
    assert read(tmp_path, "x.vtt", vtt) == (Cue(1000, 2000, "Ada", "Good morning"), Cue(3_600_000, 3_601_000, None, "somebody"))


def test_subrip_is_read_too(tmp_path):
    srt = "1\n00:00:01,250 --> 00:00:02,000\nAda: two\nlines\n\n2\n00:00:02,000 --> 00:00:02,000\nno length\n"
    assert read(tmp_path, "x.srt", srt) == (Cue(1250, 2000, "Ada", "two lines"), Cue(2000, 2200, None, "no length"))


def test_zooms_saved_captions_count_from_their_first_line(tmp_path):
    assert read(tmp_path, "x.txt", ZOOM_CAPTIONS) == (
        Cue(0, 1857, "Ada Lovelace", "Good morning. It is early."),
        Cue(5000, 6000, "Ken Thompson", "Is it?"),
        Cue(6000, 7000, "Ada Lovelace", "Yes."),
    )


def test_captions_that_begin_within_the_first_hour_count_from_the_start(tmp_path):
    assert [cue.start_ms for cue in read(tmp_path, "x.txt", "[A] 00:00:03\nx\n[B] 00:00:07\ny\n")] == [3000, 7000]


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert read(tmp_path, "x.txt", "\ufeff[A] 00:00:03\nx\n")[0].text == "x"


def test_captions_may_pass_midnight(tmp_path):
    assert [cue.start_ms for cue in read(tmp_path, "x.txt", "[A] 23:59:58\nx\n[B] 00:00:02\ny\n")] == [0, 4000]


def test_captions_out_of_order_are_put_in_order(tmp_path):
    cues = read(tmp_path, "x.txt", "[A] 10:00:00\nx\n[B] 10:00:09\nz\n[C] 10:00:07\ny\n")
    assert [(cue.start_ms, cue.text) for cue in cues] == [(0, "x"), (7000, "y"), (9000, "z")]


def test_one_person_never_speaks_over_themselves_and_no_word_is_lost(tmp_path):
    srt = tmp_path / "x.srt"
    cues = [("00:00:00,000", "00:00:04,000", "one"), ("00:00:02,000", "00:00:05,000", "two"), ("00:00:03,000", "00:00:04,500", "three")]
    srt.write_text("".join(f"{n}\n{start} --> {end}\nA: {text}\n\n" for n, (start, end, text) in enumerate(cues, 1)), encoding="utf-8")
    said = MediaSource(STAND_UP, transcript_file=srt).scenario.utterances()
    assert [(u.start_ms, u.end_ms, u.text) for u in said] == [(0, 4000, "one"), (4000, 5000, "two three")]


def test_a_transcript_of_more_than_the_longest_meeting_is_played_as_far_as_that(tmp_path):
    srt = tmp_path / "x.srt"
    srt.write_text("1\n00:00:00,000 --> 30:00:00,000\nHello\n\n2\n100:00:00,000 --> 100:00:01,000\nBye now\n\n", encoding="utf-8")
    transcript = read_transcript(srt)
    assert transcript.cues == (Cue(0, LONGEST_S * 1000, None, "Hello"),)
    assert [(remark.kind, remark.line, remark.lost_text.split()) for remark in transcript.remarks] == [
        ("repaired", 2, []),
        ("lost", 6, ["Bye", "now"]),
    ]
    assert MediaSource(STAND_UP, transcript_file=srt).scenario.duration_s == LONGEST_S


@given(
    st.text(max_size=120),
    st.sampled_from(
        ["", "WEBVTT\n\n", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n", "[A] 00:00:01\n", "1\n00:00:01,000 --> 00:00:02,000\n"]
    ),
)
def test_any_text_is_a_transcript_or_refused_by_name(tmp_path_factory, text, head):
    folder = tmp_path_factory.getbasetemp()
    for suffix in (".vtt", ".srt", ".txt"):
        path = folder / f"any{suffix}"
        path.write_text(head + text, encoding="utf-8", newline="")
        try:
            source = MediaSource(STAND_UP, transcript_file=path)
        except MediaFileError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert source.scenario.utterances()


# --- what cannot be used

BAD_FILES = [
    ("notes.docx", b"x", "files of the kind .docx are not supported", ".vtt, .srt, .txt"),
    ("noname", b"x", "files of the kind without a suffix are not supported", ".vtt, .srt, .txt"),
    ("x.vtt", b"hello", "not a .vtt transcript", ".vtt, .srt, .txt"),
    ("x.vtt", b"", "not a .vtt transcript", ".vtt, .srt, .txt"),
    ("x.vtt", b"WEBVTT\n\n", "no lines of speech", ".vtt, .srt, .txt"),
    ("x.srt", b"hello", "not a .srt transcript", ".vtt, .srt, .txt"),
    ("x.txt", b"hello", "not a .txt transcript: expected lines of the form [Name] hh:mm:ss", ".vtt, .srt, .txt"),
    ("x.vtt", "WEBVTT".encode("utf-16"), "no lines of speech", ".vtt, .srt, .txt"),
    ("x.mkv", b"x", "files of the kind .mkv are not supported", ".mp4, .m4a, .wav, .mp3"),
    ("x.mp4", b"", "cannot be decoded", ".mp4, .m4a, .wav, .mp3"),
    ("x.mp4", b"this is no film", "cannot be decoded", ".mp4, .m4a, .wav, .mp3"),
    ("x.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "cannot be decoded|no sound", ".mp4, .m4a, .wav, .mp3"),
]


@pytest.mark.parametrize(("name", "content", "problem", "supported"), BAD_FILES, ids=[f"{row[0]}-{row[2]}" for row in BAD_FILES])
def test_an_unusable_file_is_named_with_what_is_supported(tmp_path, name, content, problem, supported):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaFileError) as caught:
        read_transcript(path) if "vtt" in supported else read_recording(path)
    assert re.match(f"{re.escape(str(path))}: ({problem if '|' in problem else re.escape(problem)})", str(caught.value))
    assert str(caught.value).endswith(f"(supported: {supported})")


@pytest.mark.parametrize("name", ["missing.mp4", "missing.vtt"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(MediaFileError, match="there is no such file"):
        (read_recording if name.endswith("mp4") else read_transcript)(tmp_path / name)


@pytest.mark.parametrize("kind", [".wav", ".m4a", ".mp3", ".mp4"])
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_recording_is_refused_or_played_as_far_as_it_goes(recordings, tmp_path, kind, seed):
    chance = random.Random(seed)
    data = bytearray(recordings[kind].read_bytes())
    for _ in range(50 * (seed % 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = tmp_path / f"damaged{kind}"
    path.write_bytes(data[: chance.randrange(len(data)) if seed % 2 else len(data)])
    try:
        source = MediaSource(STAND_UP, media_file=path)
    except MediaFileError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert len(sound_of(source)) == -(-source.scenario.duration_ms // 20) * 320
        assert list(source.video({"fps": 1, "resolution": Resolution.SD}))


@pytest.mark.parametrize("kind", [".wav", ".m4a", ".mp4"])
def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path, recordings, kind):
    path = tmp_path / f"titled{kind}"
    with av.open(str(recordings[kind])) as source, av.open(str(path), "w") as titled:
        titled.metadata["title"] = "a title in some encoding"
        copies = {stream.index: titled.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                titled.mux(packet)
    content = path.read_bytes()
    assert content.count(b"a title in some encoding") == 1
    path.write_bytes(content.replace(b"a title in some encoding", b"a t\xeftle in s\xf6me enc\xffding"))
    assert read_recording(path).duration_ms == read_recording(recordings[kind]).duration_ms


def test_sound_that_begins_late_or_has_a_gap_keeps_its_place(tmp_path):
    path = tmp_path / "gap.mp4"
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=1), container.add_stream("aac", rate=16_000)
        assert isinstance(pictures, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound.layout = "mono"
        for second in range(10):
            picture = av.VideoFrame.from_image(Image.new("RGB", (64, 64)))
            picture.pts, picture.time_base = second, Fraction(1, 1)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for second in (2, 3, 7):
            for at in range(second * 16_000, second * 16_000 + 15_360, 1024):
                heard = av.AudioFrame.from_ndarray(np.full((1, 1024), 0, np.int16) + TRUTH[16_000:17_024], format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 16_000, at, Fraction(1, 16_000)
                container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
    for start_ms in (0, 1_000, 6_000):
        got = sound_of(MediaSource(STAND_UP, media_file=path), start_ms=start_ms)
        loud = [
            second
            for second in range(start_ms // 1000, 10)
            if np.abs(got[second * 16_000 - start_ms * 16 :][3_000:12_000].astype(int)).max() > 500
        ]
        assert loud == [second for second in (2, 3, 7) if second * 1000 >= start_ms]
