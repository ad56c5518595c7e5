"""Audio: packets placed on the timeline, mixed, and written as raw samples or MP3.

Everywhere signed 16 bit little-endian, 16 kHz, mono (Zoom's L16, which is not the RFC's big-endian: docs/evidence/zoom.md C6), so one
millisecond is 16 samples and every timestamp falls on a sample. A gap in the packets is silence of exactly its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

RATE = 16_000
SAMPLES_PER_MS = RATE // 1000
SAMPLE = 2  # bytes

# Zoom's timestamps advance by whole packets; a difference below this is jitter of the sender's clock, not a gap [inf].
JITTER_MS = 10
# How long the mix waits for the packets of other participants.
MIX_SLACK = RATE  # samples: 1 s
MIX_STEP = RATE // 10  # samples: written at least this many at once
SILENCE = bytes(RATE * SAMPLE)


class AudioSink(Protocol):
    """Takes a run of samples without gaps, from the recording's start on."""

    def audio(self, data: bytes) -> None:
        """Append samples."""

    def silence(self, samples: int) -> None:
        """Append that many zero samples."""


class Track:
    """Turns timestamped packets into runs without gaps: fills gaps with silence, drops what was already written.

    `origin_ms` is the moment of sample 0. `late` counts packets dropped entirely.
    """

    def __init__(self, origin_ms: int, sinks: Sequence[AudioSink]) -> None:
        self.origin_ms = origin_ms
        self.position = 0  # samples written
        self.late = 0
        self._sinks = sinks

    @property
    def end_ms(self) -> int:
        """The moment after the last sample."""
        return self.origin_ms + self.position // SAMPLES_PER_MS

    def add(self, data: bytes, timestamp_ms: int) -> None:
        """Place one packet. An odd last byte is half a sample and is left out."""
        data = data[: len(data) // SAMPLE * SAMPLE]
        ahead = (timestamp_ms - self.origin_ms) * SAMPLES_PER_MS - self.position
        if ahead >= JITTER_MS * SAMPLES_PER_MS:
            for sink in self._sinks:
                sink.silence(ahead)
            self.position += ahead
        elif ahead <= -JITTER_MS * SAMPLES_PER_MS:
            data = data[-ahead * SAMPLE :]
        if not data:
            self.late += 1
            return
        for sink in self._sinks:
            sink.audio(data)
        self.position += len(data) // SAMPLE


class Mixer:
    """Adds the participants' tracks sample by sample, clipped to 16 bit. Holds about a second, whatever the meeting's length.

    A track that is mixed already waits for nobody.
    """

    def __init__(self, sinks: Sequence[AudioSink]) -> None:
        self.late = 0  # samples that came after their part of the mix was written
        self._sinks = sinks
        self._base = 0  # position of _window[0]; everything before is written
        self._window = np.zeros(4 * RATE, np.int32)
        self._held = 0  # samples of _window in use

    def track(self, position: int, *, mixed: bool = False) -> AudioSink:
        """The input for one more participant, or for what Zoom has `mixed`, to be used as a sink of their Track.

        Its first sample is at `position`.
        """
        return _MixInput(self, position, mixed=mixed)

    def add(self, position: int, data: bytes, *, mixed: bool) -> None:
        """Add samples at `position` (samples since the start)."""
        if mixed and not self._held and position >= self._base:
            self._leap(position)
            self._send(data)
            return
        samples = np.frombuffer(data, "<i2")
        if position < self._base:
            self.late += min(len(samples), self._base - position)
            samples = samples[self._base - position :]
            position = self._base
        if not len(samples):
            return
        if position - self._base > self._held + MIX_SLACK:
            self._write(self._held)
            self._leap(position - MIX_SLACK)
        start = position - self._base
        end = start + len(samples)
        if end > len(self._window):
            self._window = np.concatenate((self._window, np.zeros(end, np.int32)))
        self._window[start:end] += samples
        self._held = max(self._held, end)
        if self._held >= MIX_SLACK + MIX_STEP:
            self._write(self._held - MIX_SLACK)

    def settle(self, position: int) -> None:
        """Nothing from before `position` will come: unless something is held, write silence until there."""
        if not self._held:
            self._leap(position)

    def close(self) -> None:
        """Write what is still held."""
        self._write(self._held)

    def _leap(self, position: int) -> None:
        """Go to `position` without holding the silence before it in memory. Nothing is held when this is called."""
        if position > self._base:
            for sink in self._sinks:
                sink.silence(position - self._base)
            self._base = position

    def _write(self, count: int) -> None:
        if not count:
            return
        data = np.clip(self._window[:count], -32768, 32767).astype("<i2").tobytes()
        rest = self._held - count
        self._window[:rest] = self._window[count : self._held].copy()
        self._window[rest : self._held] = 0
        self._held = rest
        self._send(data)

    def _send(self, data: bytes) -> None:
        self._base += len(data) // SAMPLE
        for sink in self._sinks:
            sink.audio(data)


class _MixInput:
    """One participant's way into the mix: knows where their run of samples has got to."""

    def __init__(self, mixer: Mixer, position: int, *, mixed: bool) -> None:
        self._mixer = mixer
        self._position = position
        self._mixed = mixed

    def audio(self, data: bytes) -> None:
        self._mixer.add(self._position, data, mixed=self._mixed)
        self._position += len(data) // SAMPLE

    def silence(self, samples: int) -> None:
        self._position += samples


class Tap:
    """Hands the samples on as they come, with their position; for real-time endpoints."""

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        self._take = take
        self._position = 0

    def audio(self, data: bytes) -> None:
        self._take(self._position, data)
        self._position += len(data) // SAMPLE

    def silence(self, samples: int) -> None:
        self._position += samples


class RawFile:
    """`audio_*.raw`: the samples and nothing else. Silence is a hole where the file system knows them. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._length = 0

    def audio(self, data: bytes) -> None:
        self._file.write(data)
        self._length += len(data)

    def silence(self, samples: int) -> None:
        self._length += samples * SAMPLE
        self._file.seek(self._length)

    def close(self) -> None:
        with self._file:
            self._file.truncate(self._length)

    def abandon(self) -> None:
        """Let go of the file after a failure."""
        self._file.close()


class Mp3File:
    """`audio_*.mp3`: 16 kHz mono through libmp3lame. Raises OSError and av.FFmpegError."""

    def __init__(self, path: Path, bit_rate: int = 48_000) -> None:
        self.path = path
        self._container = av.open(str(path), "w", format="mp3")
        self._stream = self._container.add_stream("libmp3lame", rate=RATE, layout="mono", bit_rate=bit_rate)
        self._feed = PcmFeed(self._container, self._stream)

    def audio(self, data: bytes) -> None:
        self._feed.audio(data)

    def silence(self, samples: int) -> None:
        self._feed.silence(samples)

    def close(self) -> None:
        self._feed.flush()
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        self._container.close()


class PcmFeed:
    """Encodes samples into a stream of a container, collected into frames of a second, since that costs less per sample.

    It knows nothing of the file it belongs to: in a circle of references, an encoder with its megabytes would outlive the file.
    """

    def __init__(self, container: av.container.OutputContainer, stream: av.AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._buffer = bytearray()
        self._position = 0

    def audio(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= len(SILENCE):
            self.flush()

    def silence(self, samples: int) -> None:
        while samples > 0:
            step = min(samples, RATE)
            self.audio(SILENCE[: step * SAMPLE])
            samples -= step

    def flush(self) -> None:
        """Encode what is held."""
        if not self._buffer:
            return
        samples = np.frombuffer(bytes(self._buffer), "<i2").reshape(1, -1)
        self._buffer.clear()
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, RATE)
        self._position += samples.shape[1]
        self._container.mux(self._stream.encode(frame))
