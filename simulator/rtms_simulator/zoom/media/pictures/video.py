"""Pictures: cameras and shared screens as JPG, PNG or H264, each with its moment burnt in, drawn only when asked for."""

from __future__ import annotations

import colorsys
import functools
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType
from PIL import Image, ImageDraw, ImageFont

from rtms_simulator.scenario import Scenario, Span
from rtms_simulator.zoom.media.packet import MediaPacket, MediaSwitches
from rtms_simulator.zoom.media.time_code import STRIP, draw_time_code
from rtms_simulator.zoom.rtms.enums import Codec, MediaType, Resolution

Planes = npt.NDArray[np.uint8]
"""A picture as planar YUV 4:2:0, shape (height * 3 / 2, width): the brightness plane on top."""
Size = tuple[int, int]
Encode = Callable[[Planes, bool], bytes]
"""A picture and whether it must stand alone (a keyframe), to the bytes of one packet."""

_SLIDE_MS = 5_000
_SHOWN_NAME = 120  # characters; a longer name leaves the picture


@dataclass(frozen=True, slots=True)
class VideoParams:
    """Zoom's confirmed video or deskshare media_params in plain units."""

    codec: int
    size: Size
    fps: int

    @classmethod
    def of(cls, params: Mapping[str, Any], media_type: int, switches: MediaSwitches) -> VideoParams:
        """From Zoom's numbers (RTMS data types, C.6), absent ones at Zoom's defaults: HD at 5 fps for video, FHD at 1 fps for a share."""
        share = media_type == MediaType.DESKSHARE
        sizes: dict[int, Size] = {
            Resolution.SD: switches.sd_size,
            Resolution.HD: (1280, 720),
            Resolution.FHD: (1920, 1080),
            Resolution.QHD: (2560, 1440),
        }
        resolution = params.get("resolution", Resolution.FHD if share else Resolution.HD)
        fps = int(params.get("fps", 1 if share else 5))
        return cls(params.get("codec", Codec.JPG), sizes[resolution], min(max(fps, 1), 30))


class Painter(Protocol):
    """Where the pictures of a span come from. Asked in the order of time, and free to keep state."""

    def __call__(self, span: Span, at_ms: int, /) -> Planes: ...


def packets(spans: tuple[Span, ...], painter: Painter, params: VideoParams, media_type: int, start_ms: int) -> Iterator[MediaPacket]:
    """A picture every 1000/fps ms while a span lasts, on the meeting's grid. The first one, and each after a change, is a keyframe."""
    encode = encoder(params)
    last_span: Span | None = None
    for span in spans:
        number = max(span.start_ms, start_ms) * params.fps // 1000  # rounded, it may still be the first at that moment
        while (at_ms := round(number * 1000 / params.fps)) < span.end_ms:
            if at_ms >= max(span.start_ms, start_ms):
                key = span is not last_span
                data = encode(painter(span, at_ms), key)
                yield MediaPacket(at_ms, media_type, span.who.user_id, span.who.name, data, round((number + 1) * 1000 / params.fps) - at_ms)
                last_span = span
            number += 1


def active_speaker(scenario: Scenario) -> tuple[Span, ...]:
    """Whose camera is shown when (data_opt 3): the one of those switched on whose owner began to speak last; nobody when all are off."""
    cameras = scenario.cameras()
    utterances = scenario.utterances()
    edges = {edge for span in cameras for edge in (span.start_ms, span.end_ms)}
    moments = sorted(edges | {utterance.start_ms for utterance in utterances})
    # Who sits further down the list is the lesser choice as long as neither has spoken.
    spoke = {person.user_id: (-1, -index) for index, person in enumerate(scenario.people)}
    ahead = iter(utterances)
    coming = next(ahead, None)
    spans: list[Span] = []
    for begin, end in itertools.pairwise(moments):
        while coming is not None and coming.start_ms <= begin:
            spoke[coming.who.user_id] = (coming.start_ms, spoke[coming.who.user_id][1])
            coming = next(ahead, None)
        on = [span.who for span in cameras if span.start_ms <= begin < span.end_ms]
        if on:
            _show(spans, Span(begin, end, max(on, key=lambda person: spoke[person.user_id])))
    return tuple(spans)


def _show(spans: list[Span], span: Span) -> None:
    """Add a span, or lengthen the last one when it goes on without a break."""
    if spans and spans[-1].end_ms == span.start_ms and spans[-1].who is span.who:
        spans[-1] = Span(spans[-1].start_ms, span.end_ms, span.who)
    else:
        spans.append(span)


class Camera:
    """A person's generated camera picture: their colour, their name, a square that moves, the time code."""

    def __init__(self, scenario: Scenario, size: Size) -> None:
        self._hues = {person.user_id: index * 0.381966 % 1.0 for index, person in enumerate(scenario.people)}
        self._size = size

    def __call__(self, span: Span, at_ms: int) -> Planes:
        return _stamp(_portrait(self._size, span.who.name, self._hues[span.who.user_id]).copy(), self._size, at_ms)


class Slides:
    """A generated shared screen: a page with the share's title that turns every five seconds, with the time code."""

    def __init__(self, size: Size) -> None:
        self._size = size

    def __call__(self, span: Span, at_ms: int) -> Planes:
        number = (at_ms - span.start_ms) // _SLIDE_MS + 1
        return _stamp(_slide(self._size, span.title or f"Screen of {span.who.name}", number).copy(), self._size, at_ms)


def _stamp(planes: Planes, size: Size, at_ms: int) -> Planes:
    """Draw what changes from picture to picture. All of it is grey, so only the brightness plane is touched."""
    width, height = size
    luma = planes[:height]
    draw_time_code(luma, at_ms)
    bar = height // 12
    text = f"{at_ms // 3_600_000:02}:{at_ms // 60_000 % 60:02}:{at_ms // 1000 % 60:02}.{at_ms % 1000:03}"
    clock = Image.new("L", (width // 2, bar), 16)
    ImageDraw.Draw(clock).text((bar // 4, bar // 2), text, fill=235, font=_font(bar * 3 // 4), anchor="lm")
    luma[height - bar :, : width // 2] = np.asarray(clock)
    luma[height - bar :, width // 2 :] = 16
    square = width // 2 + at_ms // 4 % (width // 2 - bar)
    luma[height - bar + 2 : height - 2, square : square + bar - 4] = 180
    return planes


@functools.lru_cache(maxsize=64)
def _portrait(size: Size, name: str, hue: float) -> Planes:
    width, height = size
    backdrop = _colour(hue, 0.55, 0.45)
    image = Image.new("RGB", size, backdrop)
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.41, height * 0.27, width * 0.59, height * 0.59), fill=_colour(hue, 0.25, 0.9))
    draw.ellipse((width * 0.30, height * 0.62, width * 0.70, height * 1.2), fill=_colour(hue, 0.6, 0.75))
    draw.text((width * 0.03, height * 0.86), name[:_SHOWN_NAME], fill=(255, 255, 255), font=_font(height // 14), anchor="lm")
    return _planes(image, size)


@functools.lru_cache(maxsize=16)
def _slide(size: Size, title: str, number: int) -> Planes:
    width, height = size
    image = Image.new("RGB", size, (250, 250, 248))
    draw = ImageDraw.Draw(image)
    draw.text((width * 0.08, height * 0.27), f"{title} - {number}", fill=(30, 40, 90), font=_font(height // 12), anchor="lm")
    for line in range(5):
        y = height * (0.40 + 0.09 * line)
        length = 0.35 + (number * 37 + line * 61) % 50 / 100
        draw.rectangle((width * 0.08, y, width * (0.08 + length), y + height * 0.03), fill=_colour(line / 5, 0.3, 0.7))
    return _planes(image, size)


def _planes(image: Image.Image, size: Size) -> Planes:
    """The picture with grey where the changing parts will be drawn. Read-only, as it is shared."""
    width, height = size
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height // STRIP + 1), fill=(0, 0, 0))
    draw.rectangle((0, height - height // 12 - 1, width, height), fill=(0, 0, 0))
    planes = planes_of(av.VideoFrame.from_image(image))
    planes.flags.writeable = False
    return planes


def planes_of(frame: av.VideoFrame) -> Planes:
    return np.asarray(frame.reformat(format="yuv420p").to_ndarray(), dtype=np.uint8)


@functools.lru_cache(maxsize=16)
def _font(pixels: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=max(pixels, 8))


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(part * 255) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def encoder(params: VideoParams) -> Encode:
    """A fresh encoder for one stream. Raises ValueError for a codec that is not one of Zoom's picture codecs."""
    if params.codec not in _ENCODERS:
        raise ValueError(f"video codec {params.codec} is none of {sorted(_ENCODERS)}")
    return _ENCODERS[params.codec](params)


def _still(kind: str, **options: Any) -> Callable[[VideoParams], Encode]:
    def make(_params: VideoParams) -> Encode:
        def encode(planes: Planes, _key: bool) -> bytes:  # noqa: FBT001  # called by position, as every `Encode`
            out = io.BytesIO()
            av.VideoFrame.from_ndarray(planes, format="yuv420p").to_image().save(out, kind, **options)
            return out.getvalue()

        return encode

    return make


def _h264(params: VideoParams) -> Encode:
    """Annex B, one access unit per picture and no look-ahead, SPS and PPS before every keyframe, a keyframe at least every two seconds."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = params.size
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, params.fps)
    context.framerate = Fraction(params.fps, 1)
    context.gop_size = params.fps * 2
    # One thread: the same bytes on every machine.
    context.thread_count = 1
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "28",
        "forced-idr": "1",
        "x264-params": "annexb=1:repeat-headers=1:scenecut=0",
    }
    numbers = iter(range(1 << 62))

    def encode(planes: Planes, key: bool) -> bytes:  # noqa: FBT001  # called by position, as every `Encode`
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = next(numbers)
        frame.time_base = Fraction(1, params.fps)
        if key:
            frame.pict_type = PictureType.I
        return b"".join(bytes(packet) for packet in context.encode(frame))

    return encode


_ENCODERS: dict[int, Callable[[VideoParams], Encode]] = {
    Codec.JPG: _still("JPEG", quality=80),
    Codec.PNG: _still("PNG", compress_level=1),
    Codec.H264: _h264,
}
