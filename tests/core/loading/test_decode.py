"""Every odd image file gives a defined picture or a reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from vlc_core import DataError
from vlc_core.loading.decode import decode
from vlc_core.loading.picture import fit

Encode = Callable[..., bytes]
WHITE = (255, 255, 255)


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("PPM", {}, 0),
        ("GIF", {}, 12),
        ("JPEG2000", {"irreversible": False}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 8),
        ("JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 8),
    ],
)
def test_plain_files(kind: str, options: dict[str, Any], tolerance: int, encode: Encode, picture: Image.Image) -> None:
    decoded = decode(encode(picture, kind, **options))
    assert (decoded.mode, decoded.size) == ("RGB", picture.size)
    assert np.abs(pixels(decoded) - pixels(picture)).max() <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "LAB", "LA", "RGBA", "I;16", "I"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    drawn = Image.new(mode, (5, 4))
    assert (decode(drawn).mode, decode(drawn).size) == ("RGB", (5, 4))


def test_cmyk_jpeg_keeps_its_colours(encode: Encode) -> None:
    orange = Image.new("RGB", (16, 16), (240, 120, 20)).convert("CMYK")
    assert np.abs(pixels(decode(encode(orange, "JPEG", quality=95))) - (240, 120, 20)).max() <= 6


def test_grey_levels_of_16_bits_are_scaled_not_clipped(encode: Encode) -> None:
    values = np.array([[0, 128, 257, 32_768, 65_535]], dtype=np.uint16)
    decoded = decode(encode(Image.fromarray(values), "PNG"))
    assert pixels(decoded)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_colours_of_16_bits(encode: Encode) -> None:
    assert pixels(decode(_png_of_16_bit_colour(65_535, 32_896, 257)))[0, 0].tolist() == [255, 128, 1]


def _png_of_16_bit_colour(*colour: int) -> bytes:
    """One pixel; Pillow writes no such files."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = zlib.compress(b"\0" + struct.pack(">3H", *colour))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_transparent_parts_are_white(encode: Encode) -> None:
    rgba = Image.new("RGBA", (4, 4), (200, 0, 0, 255))
    rgba.putpixel((0, 0), (0, 0, 0, 0))
    rgba.putpixel((1, 0), (0, 0, 0, 128))
    for kind in ("PNG", "WEBP"):
        decoded = decode(encode(rgba, kind, **({"lossless": True} if kind == "WEBP" else {})))
        assert decoded.getpixel((0, 0)) == WHITE
        assert np.abs(np.array(decoded.getpixel((1, 0))) - 127).max() <= 1
        assert decoded.getpixel((3, 3)) == (200, 0, 0)


def test_a_palette_with_transparency(encode: Encode) -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((2, 2), 0)
    decoded = decode(encode(palette, "PNG", transparency=0))
    assert decoded.getpixel((2, 2)) == WHITE
    assert decoded.getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize(("mode", "colour", "other"), [("RGB", (9, 9, 9), (50, 60, 70)), ("L", 9, 60)])
def test_one_transparent_colour(mode: str, colour: Any, other: Any, encode: Encode) -> None:
    image = Image.new(mode, (3, 3), other)
    image.putpixel((0, 0), colour)
    decoded = decode(encode(image, "PNG", transparency=colour))
    assert decoded.getpixel((0, 0)) == WHITE
    assert decoded.getpixel((1, 1)) == (other if mode == "RGB" else (60, 60, 60))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_several(kind: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert decoded.size == (6, 6)
    assert decoded.getpixel((3, 3)) == (250, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(kind: str, orientation: int, encode: Encode, picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    data = encode(picture, kind, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    decoded = decode(data)
    assert decoded.size == (picture.size if orientation < 5 else picture.size[::-1])
    assert np.array_equal(pixels(decoded), pixels(expected))


def test_broken_exif_does_not_matter(encode: Encode, picture: Image.Image) -> None:
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert decode(encode(picture, "JPEG", exif=exif)).size == picture.size


@pytest.mark.parametrize("kind", ["EPS", "PDF", "TGA", "PCX"])
def test_formats_that_no_data_set_has_are_not_tried(kind: str, encode: Encode, picture: Image.Image) -> None:
    """Pillow would run Ghostscript on what a stranger's EPS says."""
    with pytest.raises(DataError, match="the file is not an image"):
        decode(encode(picture, kind))


def test_large_comments_are_not_expanded(encode: Encode, picture: Image.Image) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "a" * 50_000_000, zip=True)
    data = encode(picture, "PNG", pnginfo=notes)
    assert len(data) < 100_000
    with pytest.raises(DataError, match="broken"):
        decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
            "the file is not an image but a web page",
        ),
        (b"\n <html>", "the file is not an image but a web page"),
        (b"hello", "the file is not an image"),
        (b"\x00" * 1000, "the file is not an image"),
        (b"\xff\xd8\xff\xe0", "the file is not an image"),
    ],
)
def test_what_is_no_image_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_truncated_file_is_never_half_a_picture(kind: str, encode: Encode) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    data = encode(noise, kind)
    for length in (len(data) // 4, len(data) // 2, len(data) - len(data) // 8):
        with pytest.raises(DataError):
            decode(data[:length])


def test_floating_point_pixels_are_refused(encode: Encode) -> None:
    with pytest.raises(DataError, match="floating-point"):
        decode(encode(Image.new("F", (4, 4)), "TIFF"))


def test_a_decompression_bomb_is_refused_by_its_header(bomb: bytes) -> None:
    assert len(bomb) < 60_000
    tracemalloc.start()
    with pytest.raises(DataError, match="header declares"):
        decode(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_limit_on_pixels_is_exact(encode: Encode, picture: Image.Image) -> None:
    data = encode(picture, "PNG")
    count = picture.width * picture.height
    assert decode(data, max_pixels=count).size == picture.size
    with pytest.raises(DataError, match=f"header declares 24 × 16 pixels, more than {count - 1}"):
        decode(data, max_pixels=count - 1)


def test_a_bomb_fits_into_little_memory(bomb: bytes) -> None:
    program = """
import resource, sys
from vlc_core.loading.decode import decode
from vlc_core.errors import DataError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    decode(sys.stdin.buffer.read())
except DataError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=bomb, capture_output=True, timeout=60, check=False)
    assert b"header declares" in done.stdout, done.stderr.decode()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_give_a_picture_or_a_reason(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (10, 200, 30)).save(buffer, kind)
    mutated = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(mutated)).mode == "RGB"
    except DataError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("width", "height"), [(40, 30), (30, 40), (33, 33), (500, 20), (20, 501), (7, 5), (1, 9), (224, 225)]
)
@pytest.mark.parametrize("size", [8, 32])
def test_fit_is_resize_then_centre_crop(width: int, height: int, size: int) -> None:
    levels = np.random.default_rng(1).integers(
        70, 180, (height, width, 3), dtype=np.uint8
    )  # no clipping between passes
    image = Image.fromarray(levels)
    difference = np.abs(fit(image, size).astype(int) - _resize_then_crop(image, size))
    assert difference.max() <= 1


def _resize_then_crop(image: Image.Image, size: int) -> NDArray[np.int64]:
    """The two steps one after the other, as they are usually written."""
    short = min(image.size)
    scaled = (int(size * image.width / short), int(size * image.height / short))
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    return pixels(image.resize(scaled, Image.Resampling.BICUBIC))[top : top + size, left : left + size]


def test_fit_of_a_very_long_picture_costs_no_more_than_a_square() -> None:
    assert fit(Image.new("RGB", (1, 60_000), (9, 8, 7)), 224).tolist() == [[[9, 8, 7]] * 224] * 224
