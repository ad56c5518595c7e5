"""Files from people's bug reports, played as a meeting and recorded over real sockets: what is heard and read in the recording."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.test_recording_fidelity import RATE, Stage, heard, samples
from tests.unit.simulator.zoom.media.test_cases import CASES, TRANSCRIPTS, pitch

from rtms_simulator.recall.recorder.values import RecordingConfig
from rtms_simulator.scenario import load

STAND_UP = load("stand-up")


class Cinema(Stage):
    """A stage that plays a person's own files."""

    async def show(self, media_file: Path | None = None, transcript_file: Path | None = None):
        """The only stream's result."""
        await self.zoom.start()
        try:
            play = self.zoom.play(STAND_UP, "http://hook.test/", speed="max", media_file=media_file, transcript_file=transcript_file)
            await asyncio.wait_for(play, 60)
            [result] = await asyncio.wait_for(asyncio.gather(*self.recordings), 60)
            return result
        finally:
            await self.zoom.aclose()


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_a_transcript_is_in_the_recording_as_it_was_written(tmp_path, name):
    config = RecordingConfig(video_mixed=False, audio_mixed=("raw", "mp3"), transcript=True)
    result = await Cinema(tmp_path, config).show(transcript_file=CASES / name)
    spoken = json.loads(result.artifacts["transcript"].path.read_bytes())
    read = [(one["participant"]["name"], " ".join(word["text"] for word in one["words"])) for one in spoken]
    first = next((speaker for _start, _end, speaker, _text in TRANSCRIPTS[name] if speaker), STAND_UP.people[0].name)
    assert read == [(speaker or first, text) for _start, _end, speaker, text in TRANSCRIPTS[name]]
    sound = samples(result.artifacts["audio_mixed_raw"].path)
    for start, end, _speaker, _text in TRANSCRIPTS[name]:
        assert np.abs(sound[start * 16 : end * 16].astype(int)).max() > 500


@pytest.mark.parametrize("name", ["k5_aac_mono_then_stereo.m4a", "k5_mp3_44k_then_48k.mp3"])
async def test_both_halves_are_heard_in_the_recorded_mp4(tmp_path, name):
    result = await Cinema(tmp_path, RecordingConfig(audio_mixed=("raw", "mp3"))).show(media_file=CASES / name)
    for sound in (heard(result.artifacts["video_mixed"].path), samples(result.artifacts["audio_mixed_raw"].path).astype(float)):
        pitches = [pitch(sound[at : at + 1600]) for at in range(1600, 62_000, 1600) if not 30_000 < at < 35_000]
        assert [(round(before, -1), round(after, -1)) for before, after in pairwise(pitches) if abs(before - after) > 30] == [(440, 880)]
        assert np.abs(sound[1600:60_800].reshape(-1, 1600)).max(axis=1).min() > 1000


async def test_a_film_without_sound_is_recorded_silent(tmp_path):
    result = await Cinema(tmp_path, RecordingConfig(audio_mixed=("raw", "mp3"))).show(media_file=CASES / "k13_no_sound.mp4")
    sound = samples(result.artifacts["audio_mixed_raw"].path)
    assert len(sound) == 3 * RATE
    assert not sound.any()
    assert np.abs(heard(result.artifacts["video_mixed"].path)).max() < 30


async def test_the_end_is_recorded_that_the_container_did_not_expect(tmp_path):
    result = await Cinema(tmp_path, RecordingConfig(audio_mixed=("raw", "mp3"))).show(media_file=CASES / "k14_vbr_without_header.mp3")
    sound = samples(result.artifacts["audio_mixed_raw"].path)
    assert 6_020 <= len(sound) / 16 <= 6_060
    assert np.abs(sound[5_700 * 16 : 5_900 * 16].astype(int)).max() > 20
