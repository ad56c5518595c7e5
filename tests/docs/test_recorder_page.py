"""docs/recorder.md says what the recorder does: every way to end, every patience, every artifact."""

import dataclasses
import re
from pathlib import Path

from rtms_simulator.recall.recorder.values import RecordingConfig, StreamRequest, VideoRequest
from rtms_simulator.recall.recorder.writer import RecordingWriter
from rtms_simulator.recall.rtms.codes import CUT_SHORT, STATUS_NAMES
from rtms_simulator.recall.rtms.states import Timings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/recorder.md").read_text()
SOURCES = ROOT / "simulator" / "rtms_simulator" / "recall"


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line.startswith("|")]


def test_every_sub_code_is_there_and_no_other() -> None:
    files = [SOURCES / "rtms" / "client.py", *(SOURCES / "recorder").glob("*.py")]
    code = "".join(path.read_text() for path in files if path.stem != "scripted")
    written = set(re.findall(r'"(zoom_rtms_\w+|storage_full|artifact_write_failed)"', code)) | set(CUT_SHORT.values())
    listed = {name for row in rows("How it ends") for name in re.findall(r"`(zoom_rtms_\w+|storage_full|artifact_write_failed)`", row[0])}
    generic = {"zoom_rtms_", "zoom_rtms_status_N", "zoom_rtms_unknown_status"} | {f"zoom_rtms_{name}" for name in STATUS_NAMES.values()}
    assert written - generic == listed - generic


def test_every_patience_is_there_with_its_default() -> None:
    defaults = {f"`{part.name}`": str(part.default) for part in dataclasses.fields(Timings)}
    assert {row[0]: row[1] for row in rows("Joining") if row[0] in defaults} == defaults


def test_the_video_that_is_asked_for_is_there() -> None:
    assert f"`{VideoRequest()!r}`" in PAGE


def test_every_artifact_is_there(tmp_path: Path) -> None:
    everything = RecordingConfig(audio_mixed=("mp3",), audio_separate=("mp3",), video_separate=True, transcript=True)
    made = RecordingWriter(everything, StreamRequest("m", "s", "wss://x", "sig"), tmp_path, lambda _: None, {}).finish()
    listed = {name for row in rows("What is written") for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == set(made)
