"""The pictures of a person's media file, fitted into the size that is asked for, with black bars."""

from __future__ import annotations

from collections.abc import Iterator

import av
from PIL import Image

from rtms_simulator.scenario import Span
from rtms_simulator.zoom.media.container import pieces
from rtms_simulator.zoom.media.pictures.video import Planes, Size, planes_of
from rtms_simulator.zoom.media.recording import MediaFile


class FilePictures:
    """A painter: asked in the order of time. After the last picture, and while none can be decoded, the one before stays."""

    def __init__(self, recording: MediaFile, size: Size) -> None:
        self._recording = recording
        self._size = size
        self._frames: Iterator[tuple[float, av.VideoFrame]] | None = None
        self._now: av.VideoFrame | None = None
        self._next: tuple[float, av.VideoFrame] | None = None
        self._planes: Planes | None = None

    def __call__(self, _span: Span, at_ms: int) -> Planes:
        if self._frames is None:
            self._frames = self._shown(at_ms)
            first = next(self._frames, None)
            self._now = first[1] if first else None
            self._next = next(self._frames, None)
        # A millisecond of grace, as 30 pictures a second do not fall on whole ones.
        while self._next is not None and self._next[0] <= at_ms + 1:
            self._now, self._next, self._planes = self._next[1], next(self._frames, None), None
        if self._planes is None:
            # None at all: asked for a moment after the last picture of a file whose sound is longer.
            self._planes = self._fitted(self._now or av.VideoFrame.from_image(Image.new("RGB", self._size)))
        return self._planes

    def _shown(self, start_ms: int) -> Iterator[tuple[float, av.VideoFrame]]:
        """(ms of the meeting, picture) from a little before `start_ms` on."""
        for part in self._recording.parts:
            if part.pictures is None or part.start_ms + part.length_ms <= start_ms:
                continue
            for piece in pieces(self._recording.path, part.extent, part.pictures, max(0, start_ms - part.start_ms) / 1000):
                if isinstance(piece.frame, av.VideoFrame):
                    yield part.start_ms + piece.at_s * 1000, piece.frame

    def _fitted(self, frame: av.VideoFrame) -> Planes:
        width, height = self._size
        scale = min(width / frame.width, height / frame.height)
        inner = (max(2, round(frame.width * scale) & ~1), max(2, round(frame.height * scale) & ~1))
        if inner == self._size:
            return planes_of(frame.reformat(width, height))
        canvas = Image.new("RGB", self._size)
        canvas.paste(frame.reformat(*inner, "rgb24").to_image(), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return planes_of(av.VideoFrame.from_image(canvas))
