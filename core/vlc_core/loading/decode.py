"""Image files of every kind to RGB pictures, by Pillow."""

from __future__ import annotations

import warnings
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from vlc_core.errors import DataError
from vlc_core.loading.jpeg import ORIENTATION

MAX_PIXELS = 89_478_485  # where Pillow starts to suspect a decompression bomb: 256 MB at 24 bits

# What photographs and drawings come in. Pillow reads more, some of it (EPS) by running another program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "MPO", "AVIF", "JPEG2000")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(image: bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in RGB, upright, its transparent parts on white, the first frame of several.

    Args:
        image: An encoded file, or a picture that is already drawn.
        max_pixels: Files whose header declares more are refused before anything is decoded.

    Raises:
        DataError: The file is no image, is cut short or broken, or declares too many pixels. The message is
            a clause.
    """
    if isinstance(image, Image.Image):
        return _rgb(image)
    if not image:
        raise DataError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; what matters is raised below
            return _decode(image, max_pixels)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"the file is not an image{_looks_like(image)}") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise DataError(f"its header declares more than {max_pixels} pixels") from error
    except Exception as error:  # Pillow's format readers raise almost anything on broken files
        raise DataError(f"the image is broken: {error or type(error).__name__}") from error


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuses a file by the size that its header declares.

    Raises:
        DataError: It has more than ``max_pixels``. The message is a clause.
    """
    if width * height > max_pixels:
        raise DataError(f"its header declares {width} × {height} pixels, more than {max_pixels}")


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    with Image.open(BytesIO(data), formats=readable_formats()) as image:
        check_pixels(*image.size, max_pixels)
        image.load()
        turn = _UPRIGHT.get(orientation_of(image))
        picture = _rgb(image)
    return picture if turn is None else picture.transpose(turn)


@lru_cache
def readable_formats() -> tuple[str, ...]:
    """Those that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened file, 1 (upright) to 8; 1 where nothing readable says otherwise."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken metadata makes neither pixels nor size wrong
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise DataError("its pixels are floating-point numbers without a stated range")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _looks_like(data: bytes) -> str:
    head = data[:256].lstrip().lower()
    return " but a web page" if head.startswith((b"<!doctype", b"<html", b"<?xml")) else ""
