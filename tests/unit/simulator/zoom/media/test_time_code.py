"""The time code in a picture can be read after whatever a recorder does to it, and is never read where there is none."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from rtms_simulator.zoom.media import NoTimeCode, read_time_code
from rtms_simulator.zoom.media.time_code import MAX_MS, draw_time_code

SIZES = [(320, 180), (640, 360), (854, 480), (1280, 720), (1920, 1080)]
MOMENTS = st.integers(0, MAX_MS)


def picture(ms: int, size: tuple[int, int] = (640, 360)) -> np.ndarray:
    luma = np.full((size[1], size[0]), 90, np.uint8)
    draw_time_code(luma, ms)
    return luma


@given(MOMENTS, st.sampled_from(SIZES))
def test_what_was_written_is_read(ms, size):
    assert read_time_code(picture(ms, size)) == ms


@given(MOMENTS, st.sampled_from(SIZES), st.sampled_from(SIZES), st.integers(5, 90))
def test_it_survives_scaling_blurring_and_compression(ms, size, other, quality):
    image = Image.fromarray(picture(ms, size)).resize(other).filter(ImageFilter.GaussianBlur(other[0] / 640))
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    assert read_time_code(Image.open(out)) == ms


@given(MOMENTS, st.integers(-8, 8), st.integers(0, 6))
def test_it_survives_being_a_little_out_of_place(ms, right, down):
    assert read_time_code(np.roll(picture(ms), (down, right), axis=(0, 1))) == ms


@given(MOMENTS)
def test_pictures_arrays_and_colours_are_all_read(ms):
    luma = picture(ms)
    assert read_time_code(Image.fromarray(luma)) == read_time_code(np.stack([luma] * 3, axis=-1)) == ms


@pytest.mark.parametrize("shade", range(0, 256, 5))
def test_a_plain_picture_has_none(shade):
    with pytest.raises(NoTimeCode, match="no time code in this picture of 64x48"):
        read_time_code(np.full((48, 64), shade, np.uint8))


@given(MOMENTS, st.sets(st.integers(0, 31), min_size=1, max_size=2))
def test_one_or_two_wrong_blocks_are_noticed(ms, blocks):
    luma = picture(ms)
    for block in blocks:
        row, column = divmod(block, 16)
        cell = luma[row * 30 : row * 30 + 30, column * 40 : column * 40 + 40]
        cell[:] = 251 - cell
    with pytest.raises(NoTimeCode):
        read_time_code(luma)


@pytest.mark.parametrize("ms", [-1, MAX_MS + 1])
def test_what_does_not_fit_is_refused(ms):
    with pytest.raises(ValueError, match=f"holds 0 to {MAX_MS} ms, found {ms}"):
        picture(ms)
