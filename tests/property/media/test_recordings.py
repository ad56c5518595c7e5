"""No recording raises anything but its own error, and no second of one vanishes: what is there is heard, the rest is told."""

from pathlib import Path

import numpy as np
import pytest
from tests.property.media.recordings import Made, corpus, recording

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import load
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.media.recording import read_recording

SLICE = 120
_WINDOW = 160
STAND_UP = load("stand-up")


def heard_s(path: Path) -> float:
    """Seconds of the meeting in which the tone is heard, in steps of 10 ms."""
    samples = np.concatenate(list(MediaSource(STAND_UP, media_file=path).mixed_samples())).astype(int)
    samples = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    return float((np.abs(samples).max(axis=1) > 1000).sum()) * _WINDOW / 16_000


def fault(made: Made) -> str | None:
    """What is wrong with the way a file is read and played, or None."""
    try:
        read = read_recording(made.path)
    except MediaFileError as error:
        return None if error.do else f"{made.path.name}: refused without a next step: {error}"
    lost = sum(remark.lost_s for remark in read.remarks)
    slack = made.frame_s * made.places + 0.002
    if abs(read.sound_s + lost - made.seconds) > slack:
        return (
            f"{made.path.name}: {made.seconds:.3f} s in, {read.sound_s:.3f} s out, {lost:.3f} s told: {[str(one) for one in read.remarks]}"
        )
    heard = heard_s(made.path)
    if abs(heard - read.sound_s) > 0.03 + 2 * slack:
        return f"{made.path.name}: {read.sound_s:.3f} s said to be played, {heard:.3f} s heard"
    return None


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Made]:
    return corpus(tmp_path_factory.mktemp("corpus"))


def test_a_file_as_it_was_made_is_heard_to_its_end(files):
    assert [wrong for made in files if (wrong := fault(made))] == []
    assert [str(remark) for made in files for remark in read_recording(made.path).remarks if remark.kind == "lost"] == []


@pytest.mark.parametrize("part", range(4))
def test_seconds_out_and_seconds_told_lost_are_seconds_in(files, tmp_path, part):
    seeds = range(part * SLICE // 4, (part + 1) * SLICE // 4)
    assert [f"seed {seed}: {wrong}" for seed in seeds if (wrong := fault(recording(seed, files, tmp_path)))] == []
