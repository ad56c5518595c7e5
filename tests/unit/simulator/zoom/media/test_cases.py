"""Files from people's bug reports, each with what has to come out of it: read, and heard or seen in the packets that a recorder gets."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rtms_simulator.scenario import load
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.media.recording import read_recording
from rtms_simulator.zoom.media.transcripts import read_transcript
from rtms_simulator.zoom.rtms.enums import Codec, DataOption, SampleRate

CASES = Path(__file__).parent / "cases"
STAND_UP = load("stand-up")

TRANSCRIPTS: dict[str, list[tuple[int, int, str | None, str]]] = {
    "k6_first_caption_late.txt": [(0, 1000, "Grace", "Hi"), (2000, 3000, "Ada", "Hello"), (6000, 7000, "Ada", "Bye")],
    "k7_names_emoji_phone.vtt": [
        (1000, 2000, "(ext) Ada", "Hello."),
        (2500, 4000, "\U0001f9a9 Ada", "Hi."),
        (4500, 6000, "_ada_", "yo."),
        (6500, 8000, "+49 123 456****", "phone caller."),
        (8500, 9000, "# Ada", "x"),
    ],
    "k8_am_pm.txt": [(0, 1000, "Ada Byron", "Hello"), (4000, 5000, "Grace", "Hi")],
    "k8_name_with_brackets.txt": [(1000, 2000, "Ada", "Hello"), (5000, 6000, "[IT] Grace", "my words"), (9000, 10_000, "Ada", "bye")],
    "k9_arrow_in_text.vtt": [(1000, 2000, "Ada", "the flow goes A --> B then"), (2500, 4000, "Ada", "done.")],
    "k9_last_cue_cut.vtt": [(1000, 2000, "Ada", "a")],
    "k9_leading_blank.srt": [(1000, 2000, "Ada", "a")],
    "k9_no_blank_between.vtt": [(1000, 2000, "Ada", "a"), (2500, 3000, "Ada", "b")],
    "k10_blank_after_timing.vtt": [
        (1000, 2000, "Ada", "One."),
        (3000, 5000, "Grace", "We saw it and asked why."),
        (6000, 7000, "Ada", "Three."),
    ],
    "k10_less_than.vtt": [
        (1000, 2000, "Ada", "if x<5 and y>3 we stop"),
        (3000, 4000, "Ada", "I <3 this, all of it."),
        (5000, 6000, "Ada", "see <ada@example.org> for more"),
    ],
    "k11_short_fraction.srt": [(1500, 2750, "Ada", "a")],
    "k12_sentence_with_colon.vtt": [
        (1000, 2000, None, "10:30 Meeting: starts now"),
        (2500, 4000, None, "Note: bring tea"),
        (5000, 6000, None, "https://example.org/a: see this"),
        (6500, 8000, None, "So I said to her, and this is a rather long sentence: no."),
    ],
    "k15_voice_entity.vtt": [(1000, 2000, "Ada & Grace", "hi")],
}
TOLD = {
    "k6_first_caption_late.txt": [("note", 4)],
    "k9_arrow_in_text.vtt": [("repaired", 4)],
    "k9_last_cue_cut.vtt": [("repaired", 8), ("repaired", 8)],
    "k9_no_blank_between.vtt": [("repaired", 5)],
    "k10_blank_after_timing.vtt": [("repaired", 8)],
}


def test_every_case_is_held():
    media = {"k5_aac_mono_then_stereo.m4a", "k5_mp3_44k_then_48k.mp3", "k13_no_sound.mp4", "k14_vbr_without_header.mp3"}
    assert {path.name for path in CASES.iterdir()} == set(TRANSCRIPTS) | media


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_is_read_as_written(name):
    cues = read_transcript(CASES / name).cues
    assert [(cue.start_ms, cue.end_ms, cue.speaker, cue.text) for cue in cues] == TRANSCRIPTS[name]


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_what_is_odd_is_told_with_its_line(name):
    assert [(remark.kind, remark.line) for remark in read_transcript(CASES / name).remarks] == TOLD.get(name, [])


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_speakers_say_it_in_the_packets(name):
    source = MediaSource(STAND_UP, transcript_file=CASES / name)
    first = source.scenario.people[0].name
    said = [(packet.extra["start_time"], packet.user_name, packet.data.decode()) for packet in source.transcript({})]
    assert said == [(start, speaker or first, text) for start, _end, speaker, text in TRANSCRIPTS[name]]
    heard = {packet.user_name for packet in source.audio_multi({})}
    assert heard == {speaker or first for _start, _end, speaker, _text in TRANSCRIPTS[name]}


def test_nobody_is_invented_for_a_sentence_with_a_colon():
    source = MediaSource(STAND_UP, transcript_file=CASES / "k12_sentence_with_colon.vtt")
    assert source.scenario.people == STAND_UP.people


# --- recordings


def sound(name: str) -> np.ndarray:
    """The packets' samples at 16 kHz."""
    source = MediaSource(STAND_UP, media_file=CASES / name)
    packets = source.audio_mixed({"codec": Codec.L16, "sample_rate": SampleRate.SR_16K, "data_opt": DataOption.AUDIO_MIXED_STREAM})
    return np.frombuffer(b"".join(packet.data for packet in packets), "<i2").astype(float)


def pitch(samples: np.ndarray) -> float:
    """The strongest frequency in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))) * 16_000 / len(samples)


@pytest.mark.parametrize("name", ["k5_aac_mono_then_stereo.m4a", "k5_mp3_44k_then_48k.mp3"])
def test_both_halves_are_heard_when_rate_or_channels_change(name):
    heard = sound(name)
    # 100 ms at a time, but for those in which the halves meet.
    pitches = [pitch(heard[at : at + 1600]) for at in range(800, 62_400, 1600) if not 31_000 < at < 34_000]
    changes = [(round(before, -1), round(after, -1)) for before, after in pairwise(pitches) if abs(before - after) > 30]
    assert changes == [(440, 880)]
    assert np.abs(heard[:62_400].reshape(-1, 1600)).max(axis=1).min() > 1000
    (remark,) = read_recording(CASES / name).remarks
    assert (remark.kind, "the format changes" in remark.what) == ("note", True)


def test_a_film_without_sound_is_silent_and_says_so():
    assert not sound("k13_no_sound.mp4").any()
    source = MediaSource(STAND_UP, media_file=CASES / "k13_no_sound.mp4")
    assert source.scenario.duration_ms == 3000
    assert source.scenario.utterances() == ()
    assert list(source.audio_multi({})) == []
    assert [packet.at_ms for packet in source.video({"fps": 1, "resolution": 1})] == [0, 1000, 2000]
    assert [remark.what for remark in read_recording(CASES / "k13_no_sound.mp4").remarks] == ["no sound in it: the meeting is silent"]


def test_the_length_is_what_is_there_and_not_what_the_container_guesses():
    recording = read_recording(CASES / "k14_vbr_without_header.mp3")
    assert recording.duration_ms == 6034  # FFmpeg's own estimate is 5623
    heard = sound("k14_vbr_without_header.mp3")
    assert np.abs(heard[5_700 * 16 : 5_900 * 16]).max() > 20  # the tone that is there is quiet at its end
