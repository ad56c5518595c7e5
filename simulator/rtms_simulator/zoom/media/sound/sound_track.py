"""The sound of one track in the order of time: frames where they are heard, and the places where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av

from rtms_simulator.zoom.media.container import pieces
from rtms_simulator.zoom.media.joined import Range

GAP_S = 0.015
"""Frames that follow each other later than this have a gap between them; the shortest frame of the codecs here lasts 20 ms."""
_STEP_BACK_S = 0.5


class Heard(NamedTuple):
    """A frame at `at_s`, with nothing to be heard for `gap_s` before it. `trouble` says why, if something could not be decoded.

    The last one has no frame: it tells what is wrong at the end. `skipped` bytes before the frame are no sound.
    """

    at_s: float
    frame: av.AudioFrame | None
    gap_s: float = 0.0
    trouble: str = ""
    skipped: int = 0


def heard(path: Path, part: Range | None, index: int, start_s: float = 0.0) -> Iterator[Heard]:
    """Everything of a track from a little before `start_s` on, without overlaps: what comes too early follows what is before it.

    A time that jumps back by more than half a second begins a new count of time, which goes on where the old one ended.
    """
    end: float | None = None if start_s > 0 else 0.0
    shift = 0.0
    trouble = ""
    passed = _PassedOver()
    for piece in pieces(path, part, index, start_s):
        passed.look_at(piece.packet)
        if not isinstance(piece.frame, av.AudioFrame):
            trouble = piece.trouble or trouble
            continue
        at_s = piece.at_s + shift
        if end is None:
            end = at_s
        if at_s < end - _STEP_BACK_S:
            shift += end - at_s
            at_s = end
        gap_s = at_s - end if at_s - end > GAP_S else 0.0
        length_s = piece.frame.samples / (piece.frame.sample_rate or 1)
        at_s = end + gap_s
        yield Heard(at_s, piece.frame, gap_s, trouble, passed.take())
        end, trouble = at_s + length_s, ""
    yield Heard(end or 0.0, None, 0.0, trouble, passed.take())


class _PassedOver:
    """How many bytes of the file lie between the packets that the decoder was given."""

    def __init__(self) -> None:
        self._place: int | None = None
        self._bytes = 0

    def look_at(self, packet: av.Packet | None) -> None:
        if packet is None or packet.pos is None or packet.pos < 0:
            return
        if self._place is not None and packet.pos > self._place:
            self._bytes += packet.pos - self._place
        self._place = packet.pos + packet.size

    def take(self) -> int:
        """The bytes since the last call."""
        count, self._bytes = self._bytes, 0
        return count
