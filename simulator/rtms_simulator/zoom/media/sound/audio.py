"""Audio packets: mixed or per participant, in every codec and rate, from any moment on, one second in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np

from rtms_simulator.scenario import Person, Utterance
from rtms_simulator.zoom.media.packet import NO_EXTRA, MediaPacket
from rtms_simulator.zoom.media.sound.speech import Samples, render, syllables, voice
from rtms_simulator.zoom.rtms.enums import Channel, Codec, MediaType, SampleRate

FRAME_MS = 20
HERTZ: dict[int, int] = {SampleRate.SR_8K: 8_000, SampleRate.SR_16K: 16_000, SampleRate.SR_32K: 32_000, SampleRate.SR_48K: 48_000}
Encode = Callable[[Samples], list[bytes]]
"""Rows of samples, one row per packet (a third axis when stereo), to the packets' bytes. May keep state between calls."""


class Sound(Protocol):
    """Where samples come from: made from the script, or read from a person's file."""

    def samples(self, sample_rate: int, start_ms: int, block_ms: int) -> Iterator[tuple[Samples, Mapping[int, Samples]]]:
        """Blocks in a row: everybody mixed, and by user_id each person who is heard in it. All mono, `block_ms` long, the last one too."""
        ...


@dataclass(frozen=True, slots=True)
class AudioParams:
    """Zoom's confirmed audio media_params in plain units. `packet_ms` is how much one packet holds."""

    codec: int
    sample_rate: int
    channels: int
    packet_ms: int

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> AudioParams:
        """From Zoom's numbers (RTMS data types, C.6), absent ones at Zoom's defaults; send_rate above 1000 is clamped."""
        codec = params.get("codec", Codec.L16)
        send_rate = min(int(params.get("send_rate", FRAME_MS)), 1000)
        packet_ms = max(FRAME_MS, send_rate - send_rate % FRAME_MS)
        if codec == Codec.OPUS:
            # Inferred: Zoom does not say how a long send_rate goes with Opus, whose packets end at 120 ms (RFC 6716).
            packet_ms = max(size for size in (20, 40, 60, 80, 100, 120) if packet_ms % size == 0)
        return cls(codec, HERTZ[params.get("sample_rate", SampleRate.SR_16K)], params.get("channel", Channel.MONO), packet_ms)

    @property
    def block_ms(self) -> int:
        return self.packet_ms * max(1, 1000 // self.packet_ms)

    @property
    def synthesis_rate(self) -> int:
        """The rate samples are made at: the one asked for, but Opus knows no 32 kHz."""
        return 48_000 if self.codec == Codec.OPUS and self.sample_rate == 32_000 else self.sample_rate


class Script:
    """The sound of a script: every utterance in its speaker's generated voice, silence between."""

    def __init__(self, utterances: tuple[Utterance, ...], seed: int, duration_ms: int) -> None:
        self._utterances = utterances
        self._seed = seed
        self._duration_ms = duration_ms

    def samples(self, sample_rate: int, start_ms: int, block_ms: int) -> Iterator[tuple[Samples, Mapping[int, Samples]]]:
        per_ms = sample_rate // 1000
        silence = np.zeros(block_ms * per_ms, np.int16)
        sweep = Sweep(self._utterances)
        # Kept by each run: hundreds of meetings at once must not push each other's voices out of the cache.
        voices: dict[int, Samples] = {}
        for block_start in range(start_ms, self._duration_ms, block_ms):
            own: dict[int, Samples] = {}
            for utterance in sweep.between(block_start, block_start + block_ms):
                user_id = utterance.who.user_id
                line = own.setdefault(user_id, silence.copy())
                begin, end = max(utterance.start_ms, block_start), min(utterance.end_ms, block_start + block_ms)
                at, count = (begin - block_start) * per_ms, (end - begin) * per_ms
                rows = syllables(utterance.text, utterance.end_ms - utterance.start_ms)
                if user_id not in voices:
                    voices[user_id] = voice(self._seed, user_id, sample_rate)
                line[at : at + count] = render(voices[user_id], rows, (begin - utterance.start_ms) * per_ms, count)
            yield mix(own.values(), silence), own


class Sweep:
    """Who speaks, asked block after block in the order of time; it holds only those who are speaking."""

    def __init__(self, utterances: tuple[Utterance, ...]) -> None:
        self._ahead = iter(utterances)
        self._coming = next(self._ahead, None)
        self._now: list[Utterance] = []

    def between(self, start_ms: int, end_ms: int) -> list[Utterance]:
        """The utterances heard in [start_ms, end_ms)."""
        while self._coming is not None and self._coming.start_ms < end_ms:
            self._now.append(self._coming)
            self._coming = next(self._ahead, None)
        self._now = [utterance for utterance in self._now if utterance.end_ms > start_ms]
        return self._now


def mix(lines: Iterable[Samples], silence: Samples) -> Samples:
    """The sum of everybody, limited to 16 bits."""
    lines = list(lines)
    if len(lines) < 2:
        return lines[0] if lines else silence
    total = sum((line.astype(np.int32) for line in lines), start=silence.astype(np.int32))
    return np.clip(total, -32_768, 32_767).astype(np.int16)


def mixed(sound: Sound, params: Mapping[str, Any], start_ms: int, duration_ms: int) -> Iterator[MediaPacket]:
    """One packet per interval, silence included (data_opt 1). The last one is filled up with silence."""
    audio_params = AudioParams.of(params)
    at_ms = start_ms - start_ms % audio_params.packet_ms
    encode = encoder(audio_params)
    for everybody, _own in sound.samples(audio_params.synthesis_rate, at_ms, audio_params.block_ms):
        left = -(-(duration_ms - at_ms) // audio_params.packet_ms)
        for data in encode(_rows(everybody, audio_params)[:left]):
            yield MediaPacket(at_ms, MediaType.AUDIO, 0, None, data, audio_params.packet_ms)
            at_ms += audio_params.packet_ms


def multi(
    sound: Sound, params: Mapping[str, Any], start_ms: int, utterances: tuple[Utterance, ...], people: tuple[Person, ...], duration_ms: int
) -> Iterator[MediaPacket]:
    """One packet per interval and speaking participant, none from those who are silent (data_opt 2)."""
    audio_params = AudioParams.of(params)
    step = audio_params.packet_ms
    start_ms -= start_ms % step
    by_id = {person.user_id: (place, person) for place, person in enumerate(people)}
    encoders: dict[int, Encode] = {}
    sweep = Sweep(utterances)
    block_start = start_ms
    for _everybody, own in sound.samples(audio_params.synthesis_rate, start_ms, audio_params.block_ms):
        block_end = min(block_start + audio_params.block_ms, duration_ms)
        talk = _intervals(sweep.between(block_start, block_end), block_start, block_end, step)
        packets: list[tuple[int, int, MediaPacket]] = []
        for user_id, intervals in talk.items():
            place, person = by_id[user_id]
            if user_id not in encoders:
                encoders[user_id] = encoder(audio_params)
            extra = NO_EXTRA if person.channel_id is None else {"channel_id": person.channel_id}
            chosen = _rows(own[user_id], audio_params)[[(at - block_start) // step for at in intervals]]
            for at, data in zip(intervals, encoders[user_id](chosen), strict=True):
                packets.append(
                    (
                        at,
                        place,
                        MediaPacket(at, MediaType.AUDIO, user_id=user_id, user_name=person.name, data=data, duration_ms=step, extra=extra),
                    )
                )
        packets.sort(key=lambda entry: entry[:2])
        for _at, _place, packet in packets:
            yield packet
        block_start += audio_params.block_ms


def _intervals(speaking: list[Utterance], start_ms: int, end_ms: int, step: int) -> dict[int, list[int]]:
    """By user_id the starts of the packet intervals in [start_ms, end_ms) that hold any speech of theirs, each once, in order."""
    by_user: dict[int, set[int]] = {}
    for utterance in speaking:
        first = max(utterance.start_ms, start_ms)
        first -= first % step
        by_user.setdefault(utterance.who.user_id, set()).update(range(first, min(utterance.end_ms, end_ms), step))
    return {user_id: sorted(starts) for user_id, starts in by_user.items()}


def _rows(line: Samples, params: AudioParams) -> Samples:
    """A block as one row per packet; stereo has the same on both sides."""
    shape = (-1, params.packet_ms * params.synthesis_rate // 1000)
    return np.stack((line, line), axis=-1).reshape(*shape, 2) if params.channels == 2 else line.reshape(shape)


def encoder(params: AudioParams) -> Encode:
    """A fresh encoder for one stream of packets. Raises ValueError for a codec that is not one of Zoom's audio codecs."""
    if params.codec not in _ENCODERS:
        raise ValueError(f"audio codec {params.codec} is none of {sorted(_ENCODERS)}")
    return _ENCODERS[params.codec](params)


def _l16(params: AudioParams) -> Encode:
    """Little-endian: Zoom's L16 is s16le, not the RFC's big-endian (RTMS data types, C.6)."""

    def encode(rows: Samples) -> list[bytes]:
        return _slices(rows.astype("<i2", copy=False).tobytes(), len(rows))

    return encode


def _g711(params: AudioParams) -> Encode:
    """A-law keeps no state, so a block is one call."""
    context = _context("pcm_alaw", params)

    def encode(rows: Samples) -> list[bytes]:
        return _slices(b"".join(bytes(packet) for packet in context.encode(_frame(rows.reshape(1, -1), params))), len(rows))

    return encode


def _g722(params: AudioParams) -> Encode:
    """Two samples become one byte; the encoder is fed 20 ms at a time."""
    context = _context("g722", params)
    piece = FRAME_MS * params.synthesis_rate // 1000

    def encode(rows: Samples) -> list[bytes]:
        pieces = rows.reshape(-1, piece)
        return _slices(
            b"".join(bytes(packet) for row in pieces for packet in context.encode(_frame(row.reshape(1, -1), params))), len(rows)
        )

    return encode


def _opus(params: AudioParams) -> Encode:
    """One Opus packet per row."""
    context = _context("libopus", params, {"application": "voip", "frame_duration": str(params.packet_ms), "vbr": "on"})
    context.bit_rate = 32_000 * params.channels

    def encode(rows: Samples) -> list[bytes]:
        return [bytes(packet) for row in rows for packet in context.encode(_frame(row.reshape(1, -1), params))]

    return encode


_ENCODERS: dict[int, Callable[[AudioParams], Encode]] = {Codec.L16: _l16, Codec.G711: _g711, Codec.G722: _g722, Codec.OPUS: _opus}


def _context(name: str, params: AudioParams, options: dict[str, str] | None = None) -> av.AudioCodecContext:
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = params.synthesis_rate
    context.layout = "stereo" if params.channels == 2 else "mono"
    context.format = "s16"
    context.options = options or {}
    return context


def _frame(interleaved: Samples, params: AudioParams) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(interleaved), format="s16", layout="stereo" if params.channels == 2 else "mono")
    frame.sample_rate = params.synthesis_rate
    frame.time_base = Fraction(1, params.synthesis_rate)
    return frame


def _slices(data: bytes, count: int) -> list[bytes]:
    size = len(data) // count if count else 0
    return [data[at : at + size] for at in range(0, len(data), size)] if size else []


def truth(sound: Sound, sample_rate: int, duration_ms: int) -> Iterator[Samples]:
    """The mixed samples of the whole meeting, a second at a time, exactly as long as the meeting."""
    left = duration_ms * (sample_rate // 1000)
    for everybody, _own in sound.samples(sample_rate, 0, 1000):
        yield everybody[:left]
        left -= len(everybody)
