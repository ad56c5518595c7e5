"""Pictures: packets decoded, put together as one view, and encoded for real-time endpoints."""

from __future__ import annotations

import io
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

# Zoom's resolution numbers (docs/evidence/zoom.md C6) as sizes; SD is 16:9 here, as a recording's canvas has to be something.
SIZES = {1: (640, 360), 2: (1280, 720), 3: (1920, 1080), 4: (2560, 1440)}
LARGEST_PICTURE = 4096 * 2304  # pixels; a picture that claims more is refused before memory is set aside for it
LIVE_SIZE = (640, 360)  # of the PNGs of video_separate_png.data (docs/evidence/recall.md C5)
BLACK_LUMA, GREY_CHROMA = 16, 128

Planes = npt.NDArray[np.uint8]
"""A picture as planar YUV 4:2:0, shape (height * 3 / 2, width)."""


class PictureDecoder:
    """Decodes the pictures of one socket: JPG, PNG or H.264 in Annex B, recognised by their first bytes."""

    def __init__(self) -> None:
        self._h264 = _decoder("h264")

    def decode(self, data: bytes, timestamp_ms: int) -> list[tuple[av.VideoFrame, int]]:
        """The frames that come out, each with its moment. H.264 may hold one back. Raises av.FFmpegError for what is no picture."""
        still = "mjpeg" if data[:2] == b"\xff\xd8" else "png" if data[:4] == b"\x89PNG" else None
        # A still stands alone, so it gets a decoder of its own: FFmpeg's PNG decoder adds a picture to the one before.
        decoder = _decoder(still) if still else self._h264
        packet = av.Packet(data)
        packet.pts = timestamp_ms
        return [(frame, timestamp_ms if frame.pts is None else frame.pts) for frame in decoder.decode(packet)]


def _decoder(name: str) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1  # a thread per core would hold a frame per core back
    decoder.flags |= av.codec.context.Flags.low_delay
    decoder.options = {"max_pixels": str(LARGEST_PICTURE)}
    return decoder


def black(size: tuple[int, int]) -> Planes:
    """A picture of nothing."""
    width, height = size
    planes = np.full((height * 3 // 2, width), GREY_CHROMA, np.uint8)
    planes[:height] = BLACK_LUMA
    return planes


def place(canvas: Planes, frame: av.VideoFrame, box: tuple[int, int, int, int]) -> None:
    """Scale a frame into `box` (x, y, width, height; even numbers), keeping its shape, centred."""
    x, y, width, height = box
    scale = min(width / frame.width, height / frame.height)
    inner = max(2, round(frame.width * scale) // 2 * 2), max(2, round(frame.height * scale) // 2 * 2)
    inner = min(inner[0], width), min(inner[1], height)
    x += (width - inner[0]) // 4 * 2
    y += (height - inner[1]) // 4 * 2
    source = np.asarray(frame.reformat(width=inner[0], height=inner[1], format="yuv420p").to_ndarray(), np.uint8)
    for target, part, step in zip(_planes(canvas), _planes(source), (1, 2, 2), strict=True):
        target[y // step : y // step + part.shape[0], x // step : x // step + part.shape[1]] = part


def _planes(picture: Planes) -> tuple[Planes, Planes, Planes]:
    """Views of the brightness and the two colour planes."""
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    flat, size, shape = picture.reshape(-1), width * height, (height // 2, width // 2)
    return picture[:height], flat[size : size * 5 // 4].reshape(shape), flat[size * 5 // 4 :].reshape(shape)


class View:
    """The speaker view: the active speaker, or the shared screen with the speaker hidden, beside it or over its corner.

    RTMS sends the active speaker only, so the gallery layouts look the same [inf].
    """

    def __init__(self, size: tuple[int, int], share_layout: str) -> None:
        self.size = size
        self._share_layout = share_layout
        self._speaker: av.VideoFrame | None = None
        self._share: av.VideoFrame | None = None

    def show(self, kind: Literal["video", "deskshare"], frame: av.VideoFrame | None) -> None:
        """Put a picture of the speaker or of the shared screen up, or take it down."""
        if kind == "video":
            self._speaker = frame
        else:
            self._share = frame

    def picture(self) -> Planes:
        """What is to be seen now."""
        width, height = self.size
        canvas = black(self.size)
        if self._share is None:
            if self._speaker is not None:
                place(canvas, self._speaker, (0, 0, width, height))
            return canvas
        if self._speaker is None or self._share_layout == "hide":
            place(canvas, self._share, (0, 0, width, height))
        elif self._share_layout == "beside":
            split = width * 3 // 16 * 4
            place(canvas, self._share, (0, 0, split, height))
            place(canvas, self._speaker, (split, 0, width - split, height))
        else:
            place(canvas, self._share, (0, 0, width, height))
            small = width // 8 * 2, height // 8 * 2
            place(canvas, self._speaker, (width - small[0], height - small[1], *small))
        return canvas


def png(frame: av.VideoFrame) -> bytes:
    """A PNG of LIVE_SIZE, letter-boxed."""
    canvas = black(LIVE_SIZE)
    place(canvas, frame, (0, 0, *LIVE_SIZE))
    target = io.BytesIO()
    av.VideoFrame.from_ndarray(canvas, format="yuv420p").to_image().save(target, "PNG", compress_level=1)
    return target.getvalue()
