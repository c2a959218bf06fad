"""Pictures: a transform cannot tell photographs read by libjpeg-turbo alone from those that Pillow reads."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vlc_core import DataError
from vlc_core.loading import jpeg
from vlc_core.loading.decode import decode
from vlc_core.loading.picture import Box, Picture, resize

Encode = Callable[..., bytes]
HEADER = jpeg.Header(160, 120)


def texture(width: int, height: int) -> Image.Image:
    """Something with edges and gradients, as photographs have them."""
    coarse = np.random.default_rng(0).integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return texture(160, 120)


PLAIN: list[dict[str, Any]] = [
    {"quality": 90},
    {"quality": 40, "subsampling": "4:2:2"},
    {"quality": 95, "subsampling": "4:4:4"},
    {"quality": 90, "progressive": True},
    {"quality": 90, "restart_marker_rows": 1},
    {"quality": 90, "keep_rgb": True},
    {"quality": 90, "comment": b"a comment"},
]


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_plain_photographs_have_the_same_pixels_either_way(
    options: dict[str, Any], encode: Encode, photograph: Image.Image
) -> None:
    data = encode(photograph, "JPEG", **options)
    assert jpeg.header(data) == HEADER
    assert np.array_equal(Picture(data).pixels, np.asarray(decode(data)))


def test_grey_photographs_have_three_equal_channels(encode: Encode, photograph: Image.Image) -> None:
    data = encode(photograph.convert("L"), "JPEG", quality=90)
    assert jpeg.header(data) == HEADER
    assert np.array_equal(Picture(data).pixels, np.asarray(decode(data)))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photographs_are_left_to_pillow(orientation: int, encode: Encode, photograph: Image.Image) -> None:
    exif = Image.Exif()
    exif[jpeg.ORIENTATION] = orientation
    data = encode(photograph, "JPEG", quality=90, exif=exif)
    assert jpeg.header(data) is None
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert Picture(data).size == expected.size
    assert np.array_equal(Picture(data).pixels, np.asarray(expected))


def test_exif_that_says_upright_or_nothing_readable_is_plain(encode: Encode, photograph: Image.Image) -> None:
    upright = Image.Exif()
    upright[jpeg.ORIENTATION] = 1
    upright[0x010F] = "a camera"
    for exif in (upright, b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert jpeg.header(encode(photograph, "JPEG", exif=exif)) == HEADER


def test_cmyk_is_left_to_pillow(encode: Encode, photograph: Image.Image) -> None:
    data = encode(photograph.convert("CMYK"), "JPEG", quality=95)
    assert jpeg.header(data) is None
    assert np.array_equal(Picture(data).pixels, np.asarray(decode(data)))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photograph_cut_short_is_never_half_a_picture(
    part: float, progressive: bool, encode: Encode, photograph: Image.Image
) -> None:
    data = encode(photograph, "JPEG", quality=90, progressive=progressive)
    with pytest.raises(DataError):
        _ = Picture(data[: int(len(data) * part)]).pixels


def test_damage_that_pillow_reads_over_is_read_over(encode: Encode, photograph: Image.Image) -> None:
    """Bytes between two segments, as some cameras leave them: strict decoders refuse such files."""
    data = encode(photograph, "JPEG", quality=90)
    damaged = data[:2] + b"\xff" * 6 + data[2:-2] + b"\0\0" + data[-2:]
    assert np.array_equal(Picture(damaged).pixels, np.asarray(decode(damaged)))


def test_a_subsampling_without_a_name_is_left_to_pillow(encode: Encode, photograph: Image.Image) -> None:
    """Four luminance samples to a chroma sample, all below each other (4:4:1): the decoder trips over its name."""
    data = bytearray(encode(photograph, "JPEG", subsampling="4:4:4"))
    data[data.index(b"\xff\xc0") + 11] = 0x14
    assert jpeg.header(bytes(data)) is None
    assert _outcome(lambda: Picture(bytes(data)).pixels) == _outcome(lambda: decode(bytes(data)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_photographs_are_pillows_picture_or_reason(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    texture(24, 16).save(buffer, "JPEG", quality=75)
    mutated = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    assert _outcome(lambda: Picture(bytes(mutated)).pixels) == _outcome(lambda: decode(bytes(mutated)))


def _outcome(read: Callable[[], Any]) -> tuple[int, ...] | str:
    try:
        return np.asarray(read()).shape
    except DataError:
        return "refused"


def test_the_limit_on_pixels_is_exact_and_comes_before_decoding(encode: Encode, photograph: Image.Image) -> None:
    data = encode(photograph, "JPEG")
    assert Picture(data, max_pixels=160 * 120).size == (160, 120)
    with pytest.raises(DataError, match="its header declares 160 × 120 pixels, more than 19199"):
        Picture(data, max_pixels=160 * 120 - 1)


def test_a_jpeg_bomb_is_refused_by_its_header(encode: Encode) -> None:
    """A small file whose header is made to declare 65,500 × 65,500 pixels."""
    data = encode(Image.new("RGB", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    bomb = data[:at] + (65_500).to_bytes(2, "big") * 2 + data[at + 4 :]
    with pytest.raises(DataError, match="declares 65500 × 65500 pixels"):
        Picture(bomb)


def test_without_the_fast_decoder_pillow_does_it_all(
    encode: Encode, photograph: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(photograph, "JPEG", quality=90)
    fast = Picture(data).pixels
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert jpeg.header(data) is None
    assert np.array_equal(Picture(data).pixels, fast)


def test_pixels_are_decoded_once_and_only_when_asked_for(
    encode: Encode, photograph: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Mock(side_effect=jpeg.pixels)
    monkeypatch.setattr(jpeg, "pixels", calls)
    picture = Picture(encode(photograph, "JPEG"))
    assert (picture.size, calls.call_count) == ((160, 120), 0)
    assert picture.pixels is picture.pixels
    assert calls.call_count == 1


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="older Pillow resizes in another order of passes")
@pytest.mark.parametrize("kind", ["drawn", "JPEG", "PNG"])
def test_a_cut_is_pillows_crop_and_resize(kind: str, encode: Encode) -> None:
    drawn = texture(300, 260)
    picture = Picture(drawn if kind == "drawn" else encode(drawn, kind))
    for box in (Box(3, 5, 290, 250), Box(0, 0, 100, 260), Box(100, 100, 64, 64), Box(250, 200, 31, 47)):
        differences = np.abs(picture.cut(box, 64).astype(int) - _cut_by_pillow(picture, box, 64))
        assert differences.max() <= 2
        assert differences.mean() <= 0.1


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="older Pillow resizes in another order of passes")
@pytest.mark.parametrize("size", [(640, 480), (256, 256)])
def test_training_crops_of_photographs_are_pillows(size: tuple[int, int], shared_data: Path, encode: Encode) -> None:
    """As open_clip resizes them: at most 2 levels of 255 apart, 0.1 in the mean."""
    rng = np.random.default_rng(0)
    for path in sorted((shared_data / "coco_mini").rglob("*.jpg"))[:12]:
        photograph = Image.open(path).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        picture = Picture(encode(photograph, "JPEG", quality=90))
        width, height = (int(rng.integers(int(0.85 * side), side + 1)) for side in size)
        box = Box(int(rng.integers(size[0] - width + 1)), int(rng.integers(size[1] - height + 1)), width, height)
        differences = np.abs(picture.cut(box, 224).astype(int) - _cut_by_pillow(picture, box, 224))
        assert differences.max() <= 2
        assert differences.mean() <= 0.1


def _cut_by_pillow(picture: Picture, box: Box, size: int) -> NDArray[np.int64]:
    part = picture.pil().crop((box.left, box.top, box.left + box.width, box.top + box.height))
    return np.asarray(part.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_resize_is_antialiased_cubic_interpolation(size: tuple[int, int], target: tuple[int, int]) -> None:
    """Against the definition in float64: Keys' kernel with a = -1/2, stretched where it shrinks."""
    pixels = np.asarray(texture(*size))
    exact = _cubic(_cubic(pixels.astype(np.float64), target[1]).swapaxes(0, 1), target[0]).swapaxes(0, 1)
    difference = np.abs(resize(np.array(pixels), *target) - exact.clip(0, 255))
    inside = (exact > 16) & (exact < 239)  # elsewhere the pass in between is cut at 0 or 255
    assert difference[inside].max(initial=0) <= 1.5


def _cubic(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Along the first axis, one output at a time."""
    scale = len(values) / length
    stretch = max(1.0, scale)
    rows = []
    for i in range(length):
        distances = np.abs((np.arange(len(values)) + 0.5 - (i + 0.5) * scale) / stretch)
        near = (1.5 * distances - 2.5) * distances**2 + 1
        far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
        weights = np.where(distances < 1, near, np.where(distances < 2, far, 0.0))
        rows.append(np.tensordot(weights / weights.sum(), values, axes=1))
    return np.stack(rows)


def test_reduced_decoding_is_close_and_only_where_pixels_are_left(encode: Encode) -> None:
    photograph = texture(640, 480)
    data = encode(photograph, "JPEG", quality=90)
    box = Box(8, 20, 600, 448)  # whole pixels at a quarter of the size
    whole, reduced = Picture(data).cut(box, 96), Picture(data).cut(box, 96, reduced=True)
    assert not np.array_equal(whole, reduced)
    assert np.abs(whole.astype(int) - reduced).mean() < 2
    assert np.array_equal(Picture(data).cut(box, 300), Picture(data).cut(box, 300, reduced=True))
    assert np.array_equal(Picture(photograph).cut(box, 96), Picture(photograph).cut(box, 96, reduced=True))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_reduced_boxes_stay_inside(data: st.DataObject) -> None:
    width, height = data.draw(st.tuples(st.integers(8, 300), st.integers(8, 300)))
    left, top = data.draw(st.tuples(st.integers(0, width - 1), st.integers(0, height - 1)))
    box = Box(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    file = io.BytesIO()
    texture(width, height).save(file, "JPEG")
    assert Picture(file.getvalue()).cut(box, 4, reduced=True).shape == (4, 4, 3)


def test_reduced_decoding_of_a_broken_photograph_says_so(encode: Encode) -> None:
    data = encode(texture(640, 480), "JPEG")
    with pytest.raises(DataError):
        Picture(data[: len(data) // 2]).cut(Box(0, 0, 640, 480), 64, reduced=True)
