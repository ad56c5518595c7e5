"""The sound of a person's media file; a participant's own sound is what is heard while the transcript says that they speak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import av
import numpy as np
from av.error import FFmpegError

from rtms_simulator.scenario import Utterance
from rtms_simulator.zoom.media.recording import FilePart, MediaFile
from rtms_simulator.zoom.media.sound.audio import Sweep
from rtms_simulator.zoom.media.sound.sound_track import heard
from rtms_simulator.zoom.media.sound.speech import Samples

_RUN_UP_MS = 1000
"""Compressed sound is decoded from a little earlier, as a frame needs those before it."""


class FileSound:
    """What is missing in the file is silent; a second of it is in memory at a time."""

    def __init__(self, recording: MediaFile, utterances: tuple[Utterance, ...], duration_ms: int) -> None:
        self._recording = recording
        self._utterances = utterances
        self._duration_ms = duration_ms

    def samples(self, sample_rate: int, start_ms: int, block_ms: int) -> Iterator[tuple[Samples, Mapping[int, Samples]]]:
        per_ms = sample_rate // 1000
        sweep = Sweep(self._utterances)
        source = _blocks(self._decoded(sample_rate, start_ms), block_ms * per_ms)
        for block_start in range(start_ms, self._duration_ms, block_ms):
            block = next(source)
            own: dict[int, Samples] = {}
            for utterance in sweep.between(block_start, block_start + block_ms):
                begin, end = max(utterance.start_ms - block_start, 0) * per_ms, (utterance.end_ms - block_start) * per_ms
                own.setdefault(utterance.who.user_id, np.zeros_like(block))[begin:end] = block[begin:end]
            yield block, own

    def _decoded(self, sample_rate: int, start_ms: int) -> Iterator[Samples]:
        """Mono samples from `start_ms` on, in pieces of the decoder's size."""
        start = start_ms * sample_rate // 1000
        at = start
        for part in self._recording.parts:
            if part.sound is None or part.start_ms + part.length_ms <= start_ms:
                continue
            for place, line in self._placed(part, sample_rate, max(0, start_ms - part.start_ms - _RUN_UP_MS)):
                if place > at:
                    yield from _silence(place - at, sample_rate)
                    at = place
                piece = line[max(0, at - place) :]
                yield piece
                at += len(piece)

    def _placed(self, part: FilePart, sample_rate: int, start_ms: int) -> Iterator[tuple[int, Samples]]:
        """(sample of the meeting at which it begins, samples) of one part. Each change of rate, channels or format gets a new resampler."""
        resampler: av.AudioResampler | None = None
        form: tuple[int, str, str] | None = None
        place = 0
        for piece in heard(self._recording.path, part.extent, part.sound or 0, start_ms / 1000):
            frame = piece.frame
            now = (frame.sample_rate, frame.layout.name, frame.format.name) if frame is not None else None
            if resampler is not None and (now != form or piece.gap_s):
                for line in _resampled(resampler, None):
                    yield place, line
                    place += len(line)
                resampler = None
            if frame is None:
                return
            if resampler is None:
                resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
                form = now
                place = max(place, round(part.start_ms * sample_rate / 1000 + piece.at_s * sample_rate))
            for line in _resampled(resampler, frame):
                yield place, line
                place += len(line)


def _resampled(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> Iterator[Samples]:
    """What the resampler gives for a frame, or at last for None. Frames that it cannot take are damage, which was reported before."""
    try:
        pieces = resampler.resample(frame)
    except (ValueError, FFmpegError):
        return
    for piece in pieces:
        yield np.asarray(piece.to_ndarray(), dtype=np.int16).reshape(-1)


def _silence(count: int, sample_rate: int) -> Iterator[Samples]:
    """A second at a time: a gap may last for hours."""
    for begin in range(0, count, sample_rate):
        yield np.zeros(min(sample_rate, count - begin), np.int16)


def _blocks(source: Iterator[Samples], length: int) -> Iterator[Samples]:
    """The same samples in blocks of one length, followed by silence for ever."""
    pieces: list[Samples] = []
    count = 0
    while True:
        while count < length:
            piece = next(source, None)
            piece = np.zeros(length - count, np.int16) if piece is None else piece
            pieces.append(piece)
            count += len(piece)
        line = np.concatenate(pieces)
        yield line[:length]
        pieces, count = [line[length:]], count - length
