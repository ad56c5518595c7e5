"""`rtmskit media check`: what would be played of a file, and what `meeting play` says of it first."""

import json
import wave
from pathlib import Path

import pytest
from tests.unit.simulator.zoom.media.test_cases import CASES, TRANSCRIPTS

MEDIA = ["k5_aac_mono_then_stereo.m4a", "k5_mp3_44k_then_48k.mp3", "k13_no_sound.mp4", "k14_vbr_without_header.mp3"]


def checked(rtmskit, *files: Path) -> list[dict]:
    done = rtmskit("media", "check", "--json", *files)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["files"]


def test_every_case_can_be_checked_at_once(rtmskit):
    rows = checked(rtmskit, *(CASES / name for name in [*TRANSCRIPTS, *MEDIA]))
    assert [Path(row["path"]).name for row in rows] == [*TRANSCRIPTS, *MEDIA]


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_shows_its_captions_speakers_and_words(rtmskit, name):
    [row] = checked(rtmskit, CASES / name)
    expected = TRANSCRIPTS[name]
    assert (row["kind"], row["cues"], row["words"]) == ("transcript", len(expected), sum(len(text.split()) for *_, text in expected))
    assert row["duration_s"] == max(end for _start, end, _speaker, _text in expected) / 1000
    spoken = [speaker for _start, _end, speaker, _text in expected if speaker]
    assert {one["name"]: one["cues"] for one in row.get("speakers", [])} == {name: spoken.count(name) for name in spoken}
    assert row.get("cues_without_speaker", 0) == len(expected) - len(spoken)


def test_a_recording_shows_its_tracks_and_changes(rtmskit):
    [row] = checked(rtmskit, CASES / "k5_mp3_44k_then_48k.mp3")
    assert row["tracks"] == [{"part": 0, "index": 0, "kind": "sound", "codec": "mp3", "details": "44100 Hz, mono", "plays": True}]
    assert row["changes"] == [{"at_s": 0.0, "format": "mp3, 44100 Hz, mono"}, {"at_s": 2.064, "format": "mp3, 48000 Hz, mono"}]
    assert (row["duration_s"], row["sound_s"]) == (4.08, 4.08)


def test_a_person_reads_the_same(rtmskit):
    done = rtmskit("media", "check", CASES / "k13_no_sound.mp4", CASES / "k9_arrow_in_text.vtt", CASES / "k12_sentence_with_colon.vtt")
    assert done.exit_code == 0
    lines = [line.removeprefix(f"{CASES}/") for line in done.stdout.splitlines()]
    assert lines == [
        "k13_no_sound.mp4: 0:00:03.0, of which 0:00:00.0 have sound",
        "  track 0: pictures, h264, 640x360, VideoHandler (played)",
        "  note: no sound in it: the meeting is silent",
        "k9_arrow_in_text.vtt: WebVTT, 2 captions until 0:00:04.0, 8 words",
        "  speakers: Ada (2)",
        "  repaired: line 4: an arrow (-->) in the text; read as speech",
        "k12_sentence_with_colon.vtt: WebVTT, 4 captions until 0:00:08.0, 23 words",
        "  captions that name no speaker: 4; who spoke before says them, or else the first person",
    ]


def test_what_cannot_be_played_is_named_and_the_others_are_still_checked(rtmskit, tmp_path):
    page = tmp_path / "zoom.mp4"
    page.write_bytes(b"<!DOCTYPE html><html><body>Sign in</body></html>")
    done = rtmskit("media", "check", page, CASES / "k11_short_fraction.srt", tmp_path / "gone.vtt")
    assert done.exit_code == 2
    assert "k11_short_fraction.srt: SubRip, 1 captions" in done.stdout
    assert "zoom.mp4: cannot be decoded: it is a web page (HTML)" in done.stderr
    assert "gone.vtt: there is no such file" in done.stderr
    assert "Do: download the file again, signed in" in done.stderr
    rows = json.loads(rtmskit("media", "check", "--json", page).stdout)["files"]
    assert rows[0]["error"].endswith("it is a web page (HTML) (supported: .mp4, .m4a, .wav, .mp3)")


def test_strict_refuses_what_had_to_be_repaired_and_not_what_is_only_told(rtmskit):
    assert rtmskit("media", "check", "--strict", CASES / "k5_mp3_44k_then_48k.mp3", CASES / "k6_first_caption_late.txt").exit_code == 0
    done = rtmskit("media", "check", "--strict", CASES / "k9_no_blank_between.vtt")
    assert done.exit_code == 2
    assert "line 5: no blank line before this caption" in done.stderr


def test_what_is_lost_is_counted_and_shown(rtmskit, tmp_path):
    path = tmp_path / "x.vtt"
    path.write_text("WEBVTT\n\nlost words here\n\n00:01.000 --> 00:02.000\nAda: heard\n")
    [row] = checked(rtmskit, path)
    assert (row["words"], row["words_lost"]) == (1, 3)
    assert row["remarks"] == [{"kind": "lost", "what": "text before the first caption", "line": 3, "lost_text": "lost words here"}]
    shown = rtmskit("media", "check", path).stdout
    assert "1 words, 3 words are not played" in shown
    assert "lost: line 3: text before the first caption; not played (3 words): lost words here" in shown


# --- what `meeting play` says first


def play(rtmskit, *more):
    receiver = ("--webhook", "http://127.0.0.1:9/", "--secret-token", "s", "--client-id", "i", "--client-secret", "c")
    return rtmskit("meeting", "play", *receiver, "--speed", "max", *more)


def test_a_play_begins_with_the_report(rtmskit, tmp_path):
    sound = tmp_path / "x.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3_200))
    done = play(rtmskit, "--media", sound, "--transcript", CASES / "k9_no_blank_between.vtt")
    said = done.stderr.splitlines()
    assert said[0] == f"{sound}: 0:00:00.1, of which 0:00:00.1 have sound"
    assert "  note: the sound is silent throughout" in said
    assert "  repaired: line 5: no blank line before this caption" in said
    assert done.exit_code == 3  # nobody listens there


def test_a_strict_play_refuses_before_anything_is_sent(rtmskit):
    done = play(rtmskit, "--strict", "--transcript", CASES / "k9_no_blank_between.vtt")
    assert done.exit_code == 2
    assert "line 5: no blank line before this caption" in done.stderr
    assert "leave --strict out" in done.stderr


@pytest.mark.parametrize(("option", "name", "do"), [("--media", "x.vtt", "--transcript"), ("--transcript", "x.mp4", "--media")])
def test_a_file_at_the_wrong_option_is_sent_to_the_right_one(rtmskit, option, name, do):
    done = play(rtmskit, option, name)
    assert done.exit_code == 2
    assert f"Do: give it to {do}." in done.stderr
