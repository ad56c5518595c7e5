"""Media files made with PyAV, and what disks, downloads, `cat` and converters do to them. All of them hold one steady tone."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TONE_HZ = 440
AMPLITUDE = 9000


@dataclass(frozen=True)
class Made:
    """A file with `seconds` of sound, in frames of at most `frame_s`.

    `rows`: it is nothing but frames, so what is cut off is not missed. `places`: in how many places a part of a frame may be missing.
    """

    path: Path
    kind: str
    seconds: float
    frame_s: float
    rows: bool = False
    places: int = 1


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Shape (1, samples * channels), interleaved 16 bits."""
    line = (AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * np.arange(round(seconds * rate)) / rate)).astype(np.int16)
    return np.repeat(line, channels).reshape(1, -1)


class Writer:
    """Writes one file of one or several sound tracks."""

    def __init__(self, path: Path, container: str, options: dict[str, str] | None = None) -> None:
        self.container = av.open(str(path), "w", format=container, options=options or {})

    def write(self, codec: str, rate: int, channels: int, *tracks: np.ndarray, skip: tuple[int, int] | None = None) -> None:
        """`skip`: the frames of this range are left out, so that the file has a gap."""
        streams: list[av.AudioStream] = []
        for _ in tracks:
            stream = self.container.add_stream(codec, rate=rate)
            assert isinstance(stream, av.AudioStream)
            stream.layout = "stereo" if channels == 2 else "mono"
            streams.append(stream)
        for stream, samples in zip(streams, tracks, strict=True):
            at = 0
            for number, begin in enumerate(range(0, samples.shape[1], 1024 * channels)):
                piece = np.ascontiguousarray(samples[:, begin : begin + 1024 * channels])
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo" if channels == 2 else "mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
                at += piece.shape[1] // channels
                if skip is None or not skip[0] <= number < skip[1]:
                    self.container.mux(stream.encode(frame))
            self.container.mux(stream.encode(None))
        self.container.close()


def corpus(folder: Path) -> list[Made]:
    """One file of every kind, 0.5 to 2 s long."""
    made: list[Made] = []

    def one(name: str, container: str, codec: str, rate: int, frame: int, seconds: float = 1.0, channels: int = 1, **options: str) -> None:
        path = folder / name
        Writer(path, container, options).write(codec, rate, channels, tone(seconds, rate, channels))
        rows = container == "adts" or (container == "mp3" and options.get("write_xing") == "0")
        # Rows of frames hold what the encoder adds at both ends, too.
        made.append(Made(path, container, seconds_of_rows(path.read_bytes()) if rows else seconds, frame / rate, rows))

    one("pcm.wav", "wav", "pcm_s16le", 16_000, 4096)
    one("stereo.wav", "wav", "pcm_s16le", 44_100, 4096, 0.7, 2)
    one("deep.wav", "wav", "pcm_s24le", 48_000, 4096)
    one("float.wav", "wav", "pcm_f32le", 8_000, 4096)
    one("alaw.wav", "wav", "pcm_alaw", 8_000, 4096)
    one("xing.mp3", "mp3", "libmp3lame", 44_100, 1152)
    one("stereo.mp3", "mp3", "libmp3lame", 48_000, 1152, 1.3, 2)
    one("slow.mp3", "mp3", "libmp3lame", 16_000, 1152)
    one("bare.mp3", "mp3", "libmp3lame", 44_100, 1152, write_xing="0", id3v2_version="0")
    one("aac.m4a", "ipod", "aac", 48_000, 1024)
    one("stereo.m4a", "ipod", "aac", 44_100, 1024, 1.5, 2)
    one("front.m4a", "ipod", "aac", 32_000, 1024, movflags="faststart")
    one("front.mp4", "mp4", "libmp3lame", 44_100, 1152, movflags="faststart")
    one("opus.mp4", "mp4", "libopus", 48_000, 960, 0.8)
    one("raw.m4a", "adts", "aac", 44_100, 1024)
    return made


def _copy(made: Made, path: Path, seconds: float, *, rows: bool | None = None, places: int = 1) -> Made:
    return Made(path, made.kind, seconds, made.frame_s, made.rows if rows is None else rows, places)


def cut(chance: random.Random, made: Made, path: Path) -> Made:
    """The first part of a file."""
    data = made.path.read_bytes()
    data = data[: chance.randrange(len(data) // 10, len(data))]
    path.write_bytes(data)
    return _copy(made, path, seconds_of_rows(data) if made.rows else made.seconds)


def joined(chance: random.Random, made: Made, path: Path, others: list[Made]) -> Made:
    """Two files of one kind, one behind the other."""
    other = chance.choice([one for one in others if one.kind == made.kind])
    path.write_bytes(made.path.read_bytes() + other.path.read_bytes())
    frame = max(made.frame_s, other.frame_s)
    behind = seconds_of_rows(other.path.read_bytes()) if made.kind in ("mp3", "adts") else other.seconds
    return Made(path, made.kind, made.seconds + behind, frame, made.rows, 3)


def remuxed(chance: random.Random, made: Made, path: Path) -> Made:
    """The same packets in a container of the other kind; of several packets in a row the file may have lost all."""
    target = "mp4" if made.kind in ("adts", "mp3", "ipod", "mp4") else "wav"
    with av.open(str(made.path)) as source, av.open(str(path), "w", format=target) as container:
        stream = source.streams.audio[0]
        copy = container.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        gap = range(0)
        if target == "mp4" and len(packets) > 12 and chance.random() < 0.5:
            begin = chance.randrange(2, len(packets) - 8)
            gap = range(begin, begin + chance.randrange(3, 6))
        for number, packet in enumerate(packets):
            if number not in gap:
                packet.stream = copy
                container.mux(packet)
    return _copy(made, path, made.seconds, rows=False, places=3)


def with_silent_track(chance: random.Random, made: Made, path: Path) -> Made:
    """A film whose first sound track is silent."""
    rate, seconds = chance.choice((16_000, 44_100, 48_000)), chance.choice((0.5, 1.0))
    Writer(path, "mp4").write("aac", rate, 1, np.zeros_like(tone(seconds, rate)), tone(seconds, rate))
    return Made(path, "mp4", seconds, 1024 / rate)


def recording(seed: int, files: list[Made], folder: Path) -> Made:
    """The file of a seed, in `folder`."""
    chance = random.Random(seed)
    made = chance.choice(files)
    path = folder / f"{seed}{made.path.suffix}"
    change = chance.choice((cut, cut, joined, remuxed, with_silent_track))
    if change is joined:
        return joined(chance, made, path, files)
    if change is with_silent_track:
        path = path.with_suffix(".mp4")
    if change is remuxed and made.kind != "wav":
        path = path.with_suffix(".mp4")
    return change(chance, made, path)


# --- how long a row of frames is, counted without FFmpeg

_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000)}
_MP3_KBITS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)


def seconds_of_rows(data: bytes) -> float:
    """The seconds of the whole frames of an MP3 without head frame, or of raw AAC (ISO 11172-3 and 13818-7 headers)."""
    at, seconds = 0, 0.0
    if data[:3] == b"ID3":
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    while at + 7 <= len(data):
        head = struct.unpack(">I", data[at : at + 4])[0]
        if head >> 16 & 0xFFF6 == 0xFFF0:
            rate = _AAC_RATES[head >> 10 & 0xF]
            size, samples = (head & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5, 1024
        elif head >> 21 == 0x7FF:
            version = head >> 19 & 3
            rate, kbits = _MP3_RATES[version][head >> 10 & 3], _MP3_KBITS[version][head >> 12 & 0xF]
            samples = 1152 if version == 3 else 576
            size = samples // 8 * kbits * 1000 // rate + (head >> 9 & 1)
        else:
            break
        if at + size > len(data):
            break
        at, seconds = at + size, seconds + samples / rate
    return seconds
