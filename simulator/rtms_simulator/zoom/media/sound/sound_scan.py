"""One pass over a sound track: how long it is, what changes in it, where it is damaged, whether it is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from rtms_simulator.scenario.actions import LONGEST_S
from rtms_simulator.zoom.media.container import channels, codec_name, opened
from rtms_simulator.zoom.media.joined import Range
from rtms_simulator.zoom.media.remarks import Remark
from rtms_simulator.zoom.media.sound.sound_track import Heard, heard

_QUIET = 10 / 32_768
"""No sample above this is silence: what encoders leave of it."""
_ROWS_OF_FRAMES = ("mp3", "aac")
"""Containers that are nothing but frames: bytes between two of them are damage."""
_SHOWN = 50


@dataclass(slots=True)
class SoundScan:
    """`end_s`: where the last sample ends. `sound_s`: without what is missing. `formats`: from when on which codec, rate and channels."""

    index: int
    end_s: float = 0.0
    sound_s: float = 0.0
    silent: bool = True
    formats: list[tuple[float, str]] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def scan_sound(path: Path, part: Range | None, index: int, size: int) -> SoundScan:
    """Decode a whole track. `size` is how many bytes its recording has. Raises FFmpegError if it cannot be opened."""
    with opened(path, part) as container:
        container_format, codec = container.format.name, codec_name(container.streams[index])
        declared_s = _declared(container, index, path)
    rows = container_format in _ROWS_OF_FRAMES
    scan = SoundScan(index)
    troubles = _Troubles(scan, size if rows else 0)
    frame_s = 0.0
    for piece in heard(path, part, index):
        troubles.look_at(piece)
        if piece.frame is None:
            continue
        frame_s = max(frame_s, _add(scan, piece.at_s, piece.frame, codec))
        if scan.end_s > LONGEST_S and declared_s is not None and declared_s > scan.end_s:
            # Nothing of the rest can be played.
            scan.end_s = declared_s
            break
    if declared_s is not None:
        _compare(scan, declared_s, frame_s, exact=container_format != "mp3")
    if len(scan.formats) > 1:
        changes = "; ".join(f"at {at_s:.2f} s {form}" for at_s, form in scan.formats[1:_SHOWN])
        scan.remarks.append(Remark("note", f"the format changes: {scan.formats[0][1]}, then {changes}"))
    troubles.close()
    return scan


def _add(scan: SoundScan, at_s: float, frame: av.AudioFrame, codec: str) -> float:
    """Take in what one frame shows. Its length in seconds."""
    form = f"{codec}, {frame.sample_rate} Hz, {channels(frame.layout)}"
    if not scan.formats or form != scan.formats[-1][1]:
        scan.formats.append((round(at_s, 3), form))
    if scan.silent and _loudness(frame) > _QUIET:
        scan.silent = False
    length_s = frame.samples / (frame.sample_rate or 1)
    scan.sound_s += length_s
    scan.end_s = at_s + length_s
    return length_s


def _compare(scan: SoundScan, declared_s: float, frame_s: float, *, exact: bool) -> None:
    """What the file's head promises, beside what is there. `exact`: the container says where inside the last frame the sound ends."""
    if exact and 0 < scan.end_s - declared_s < frame_s:
        # A codec's last frame is longer than what was encoded.
        scan.sound_s -= scan.end_s - declared_s
        scan.end_s = declared_s
    if scan.formats and declared_s - scan.end_s > frame_s:
        what = f"the file is cut: its head promises {declared_s:.2f} s"
        scan.remarks.append(Remark("lost", what, at_s=scan.end_s, lost_s=declared_s - scan.end_s))


class _Troubles:
    """Damage and gaps, reported with their places; beyond a few dozen only their sum."""

    def __init__(self, scan: SoundScan, size: int) -> None:
        self._found = scan
        self._size = size
        self._told = 0
        self._more_s = 0.0

    def look_at(self, piece: Heard) -> None:
        """Skipped bytes count only where the container is a row of frames (`size` is not 0)."""
        skipped = piece.skipped if self._size else 0
        if piece.gap_s or piece.trouble or skipped:
            self._add(piece.at_s, piece.gap_s, piece.trouble, skipped, last=piece.frame is None)

    def _add(self, at_s: float, gap_s: float, trouble: str, skipped: int, *, last: bool) -> None:
        if skipped and not gap_s:
            # Rows of frames carry no times: what is missing shows only in bytes.
            gap_s = 0.0 if last and not trouble else skipped * at_s / self._size if at_s else 0.0
            trouble = trouble or f"{skipped:,} bytes are no sound"
            what, kind, place = trouble, "lost", at_s
        elif trouble:
            what, kind, place = f"sound {trouble}", "lost", at_s - gap_s
        else:
            what, kind, place = f"no sound in the file for {gap_s:.2f} s", "note", at_s - gap_s
        self._told += 1
        if self._told > _SHOWN:
            self._more_s += gap_s
            return
        self._found.remarks.append(Remark(kind, what, at_s=round(place, 3), lost_s=gap_s))

    def close(self) -> None:
        if self._told > _SHOWN:
            what = f"{self._told - _SHOWN} more places without sound or with damage"
            self._found.remarks.append(Remark("lost", what, at_s=self._found.end_s, lost_s=self._more_s))


def _declared(container: av.container.InputContainer, index: int, path: Path) -> float | None:
    """The length that the file's head promises in earnest; None where FFmpeg only estimates it from the bit rate."""
    stream = container.streams[index]
    if stream.duration is None or stream.time_base is None or container.format.name == "aac":
        return None
    if container.format.name == "mp3":
        return _counted(path, stream.codec_context.sample_rate) if isinstance(stream, av.AudioStream) else None
    start = float((stream.start_time or 0) * stream.time_base) - (container.start_time or 0) / av.time_base
    return float(stream.duration * stream.time_base) + start


def _counted(path: Path, sample_rate: int) -> float | None:
    """The seconds of an MP3 whose first frame says how many frames there are (Xing or Info), without the encoder's delay and padding."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)) if head[:3] == b"ID3" else 0
        file.seek(tag)
        frame = file.read(256)
    at = next((frame.find(mark) for mark in (b"Xing", b"Info") if mark in frame), -1)
    if at < 0 or not sample_rate or not frame[at + 7] & 1:
        return None
    samples = int.from_bytes(frame[at + 8 : at + 12], "big") * (1152 if sample_rate >= 32_000 else 576)
    # The encoder's own part (LAME and its kin): 12 bits of delay, 12 of padding.
    added = int.from_bytes(frame[at + 141 : at + 144], "big") if frame[at + 7] & 0xF == 0xF else 0
    return (samples - (added >> 12) - (added & 0xFFF)) / sample_rate


def _loudness(frame: av.AudioFrame) -> float:
    samples = frame.to_ndarray()
    if not samples.size:
        return 0.0
    if np.issubdtype(samples.dtype, np.floating):
        return float(np.nanmax(np.abs(samples)))
    if samples.dtype == np.uint8:
        return float(np.max(np.abs(samples.astype(np.int16) - 128))) / 128
    return float(np.max(np.abs(samples.astype(np.int64)))) / 2 ** (8 * samples.dtype.itemsize - 1)
