"""A time code that survives a video codec: 32 large black and white blocks across the top of the picture.

Two rows of 16 blocks, each row a twelfth of the height: 26 bits of milliseconds (18 hours), then a 6-bit check, most significant first.
Places are relative to the picture's size, so a scaled or re-encoded recording can be read as well as the original.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

_ROWS, _COLUMNS = 2, 16
_MS_BITS, _CHECK_BITS = 26, 6
STRIP = 6
"""The code takes the uppermost 1/STRIP of the height."""
MAX_MS = 2**_MS_BITS - 1
_BLACK, _WHITE = 16, 235

Luma = npt.NDArray[np.uint8]


class NoTimeCode(ValueError):
    """The picture carries no time code, or one that was damaged."""


def draw_time_code(luma: Luma, ms: int) -> None:
    """Write it into the brightness plane (height, width) in place. Raises ValueError outside 0 to MAX_MS."""
    if not 0 <= ms <= MAX_MS:
        raise ValueError(f"a time code holds 0 to {MAX_MS} ms, found {ms}")
    word = ms << _CHECK_BITS | _check(ms)
    bits = np.array([word >> place & 1 for place in range(_ROWS * _COLUMNS - 1, -1, -1)]).reshape(_ROWS, _COLUMNS)
    height, width = luma.shape
    strip = height // STRIP
    rows = np.minimum(np.arange(strip) * _ROWS // strip, _ROWS - 1)
    columns = np.arange(width) * _COLUMNS // width
    luma[:strip] = np.where(bits, _WHITE, _BLACK).astype(np.uint8)[rows][:, columns]


def read_time_code(image: Image.Image | av.VideoFrame | npt.NDArray[Any]) -> int:
    """The milliseconds written into a picture: a Pillow image, a decoded frame, or an array (height, width[, colours]).

    Raises NoTimeCode when there is none.
    """
    luma = _brightness(image)
    height, width = luma.shape
    strip = height / STRIP
    word = 0
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            # Only the middle of a block: its edges blur when scaled.
            top, bottom = (int(strip * (row + part) / _ROWS) for part in (0.25, 0.75))
            left, right = (int(width * (column + part) / _COLUMNS) for part in (0.25, 0.75))
            word = word << 1 | int(luma[top : max(bottom, top + 1), left : max(right, left + 1)].mean() > 128)
    ms = word >> _CHECK_BITS
    if word & (2**_CHECK_BITS - 1) != _check(ms):
        raise NoTimeCode(f"no time code in this picture of {width}x{height}")
    return ms


def _brightness(image: Image.Image | av.VideoFrame | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("L"), dtype=np.float32)
    pixels = image.to_ndarray(format="gray") if isinstance(image, av.VideoFrame) else image
    return (pixels if pixels.ndim == 2 else pixels.mean(axis=2)).astype(np.float32)


def _check(ms: int) -> int:
    """CRC-6 with the primitive x^6 + x + 1, so any one or two wrong blocks are noticed; the mask keeps plain black and white out."""
    rest = ms << _CHECK_BITS
    for place in range(_MS_BITS - 1, -1, -1):
        if rest >> (place + _CHECK_BITS) & 1:
            rest ^= 0b1000011 << place
    return rest ^ 0b101010
