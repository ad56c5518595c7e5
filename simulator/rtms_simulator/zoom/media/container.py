"""One recording inside a file, opened with FFmpeg: its tracks, and the frames of one of them with their places in time."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.error import FFmpegError
from av.stream import Stream

from rtms_simulator.zoom.media.joined import Range, Window

TOLERANT_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""PyAV before 19 raises on metadata that is not UTF-8 unless a parameter forbids it; newer ones never raise and have no such parameter."""

_HEADS_WITHOUT_SOUND = (b"Xing", b"Info", b"VBRI")
"""The first frame of an MP3 that another one was joined to: it counts frames and cannot be decoded."""

Frame = av.AudioFrame | av.VideoFrame


class Piece(NamedTuple):
    """What comes next in a track, at `at_s` from the recording's start: a frame, or (`frame` is None) why there is none."""

    at_s: float
    frame: Frame | None
    trouble: str = ""
    packet: av.Packet | None = None


@contextlib.contextmanager
def opened(path: Path, part: Range | None) -> Generator[av.container.InputContainer]:
    """Raises FFmpegError and OSError. `part` is None for the whole file."""
    with contextlib.ExitStack() as stack:
        source: Any = str(path) if part is None else stack.enter_context(Window(path, part))
        yield stack.enter_context(av.open(source, **TOLERANT_METADATA))


def pieces(path: Path, part: Range | None, index: int, start_s: float = 0.0, *, only_keys: bool = False) -> Iterator[Piece]:
    """The frames of stream `index` from a little before `start_s` on, and the places where something cannot be decoded."""
    with opened(path, part) as container:
        stream = container.streams[index]
        if only_keys and isinstance(stream, av.VideoStream):
            stream.codec_context.skip_frame = "NONKEY"
        # Where the file's own time begins: an MP3 starts with its encoder's delay.
        origin = (container.start_time or 0) / av.time_base
        if start_s > 0:
            container.seek(round((origin + start_s) * av.time_base))
        yield from _decoded(container.demux(stream), origin, max(0.0, start_s))


def _decoded(packets: Iterator[av.Packet], origin: float, at_s: float) -> Iterator[Piece]:
    """The pieces of all packets. A frame without a time of its own follows the one before it."""
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError) as error:
            yield Piece(at_s, None, f"the file cannot be read on: {_said(error)}")
            return
        if packet is None:
            return
        if packet.pts is not None and packet.time_base is not None:
            at_s = float(packet.pts * packet.time_base) - origin
        frames, trouble = _frames(packet)
        if trouble:
            yield Piece(at_s, None, trouble, packet)
        for number, frame in enumerate(frames):
            if frame.time is not None:
                at_s = frame.time - origin
            yield Piece(at_s, frame, packet=None if number else packet)
            if isinstance(frame, av.AudioFrame) and frame.sample_rate:
                at_s += frame.samples / frame.sample_rate


def _frames(packet: av.Packet) -> tuple[list[Frame], str]:
    """(the frames of a packet, why it cannot be decoded)."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, (av.AudioFrame, av.VideoFrame))], ""
    except (FFmpegError, ValueError, MemoryError) as error:
        if any(mark in bytes(packet)[:256] for mark in _HEADS_WITHOUT_SOUND):
            return [], ""
        return [], f"cannot be decoded: {_said(error)}"


def _said(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def codec_name(stream: Stream) -> str:
    """The codec as people call it (`mp3`), not the decoder (`mp3float`)."""
    context = stream.codec_context
    return getattr(context.codec, "canonical_name", context.codec.name) if context is not None else "unknown codec"


def channels(layout: av.AudioLayout) -> str:
    return {1: "mono", 2: "stereo"}.get(layout.nb_channels, f"{layout.nb_channels} channels")
