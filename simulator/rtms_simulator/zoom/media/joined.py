"""Files that are several recordings one behind the other (`cat a.wav b.wav > both.wav`): where each of them lies.

FFmpeg reads the first and passes over the others without a word. MP3 and raw AAC need nothing of this: they are rows of frames.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

_STREAMED = (0, 0xFFFFFFFF)
"""Sizes in the head of a WAV that was written to a pipe: the sound goes on to the end of the file."""


class Range(NamedTuple):
    """A recording inside a file, in bytes."""

    offset: int
    size: int


class Layout(NamedTuple):
    """`parts`: at least one.

    `missing_bytes`: how much the last part's own head promises beyond the end of the file, and `missing_s` how long that would last (0
    where it does not say). `trailing_bytes` behind the last part are none of it. `has_index`: False for an MP4 without its `moov` box.
    """

    parts: tuple[Range, ...]
    missing_bytes: int = 0
    missing_s: float = 0.0
    trailing_bytes: int = 0
    has_index: bool = True


def layout(path: Path) -> Layout:
    """The recordings in a file. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(12)
        if beginning[:4] == b"RIFF" and beginning[8:12] == b"WAVE":
            return _waves(file, size)
        if beginning[4:8] == b"ftyp":
            return _films(file, size)
    return Layout((Range(0, size),))


def _waves(file: BinaryIO, size: int) -> Layout:
    parts: list[Range] = []
    at, missing, missing_s = 0, 0, 0.0
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            break
        length, missing, missing_s = _wave(file, at, size)
        parts.append(Range(at, length))
        at += length
    last = parts[-1]
    # What follows and is no WAV stays with the last part, where it is seen as bytes without sound.
    parts[-1] = Range(last.offset, size - last.offset)
    return Layout(tuple(parts), missing, missing_s, max(0, size - at))


def _wave(file: BinaryIO, at: int, size: int) -> tuple[int, int, float]:
    """(bytes of the WAV that begins at `at`, bytes of sound that its head promises and the file does not hold, their seconds)."""
    place = at + 12
    bytes_per_s = 0
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"fmt ":
            bytes_per_s = int.from_bytes(file.read(12)[8:], "little")
        if name == b"data":
            if length in _STREAMED:
                return size - at, 0, 0.0
            end = place + 8 + length + length % 2
            file.seek(max(end - length % 2, 0))
            if length % 2 and file.read(4) == b"RIFF":
                end -= 1
            missing = max(0, place + 8 + length - size)
            return min(_after_data(file, end, size), size) - at, missing, missing / bytes_per_s if bytes_per_s else 0.0
        place += 8 + length + length % 2
    return size - at, 0, 0.0


def _after_data(file: BinaryIO, place: int, size: int) -> int:
    """Where the chunks behind the sound (titles and such) end."""
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"RIFF" or not name.strip(b" ").isalnum() or place + 8 + length > size:
            break
        place += 8 + length + length % 2
    return place


def _films(file: BinaryIO, size: int) -> Layout:
    """MP4 boxes: another `ftyp` after an index (`moov`) begins another recording."""
    starts, indexed, missing = [0], False, 0
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        elif length == 0:
            length = size - at
        if length < 8:
            break
        if name == b"ftyp" and at > starts[-1] and indexed:
            starts.append(at)
            indexed = False
        indexed = indexed or name == b"moov"
        missing = max(0, at + length - size)
        at += length
    ends = [*starts[1:], size]
    return Layout(
        tuple(Range(begin, end - begin) for begin, end in zip(starts, ends, strict=True)), missing, has_index=indexed or len(starts) > 1
    )


class Window(io.RawIOBase):
    """A range of a file as a file of its own, to be read and sought in."""

    def __init__(self, path: Path, part: Range) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._part.size - self._at)
        self._file.seek(self._part.offset + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
