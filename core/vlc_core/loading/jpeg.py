"""Plain JPEG files, which most photographs are, by libjpeg-turbo alone: no copy through another library.

What is not plain (CMYK, turned by its EXIF tag, cut short, an odd coding) is left to Pillow, whose verdict then counts.
Both decode with the same library and the same settings, so a plain file has the same pixels either way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

try:
    import simplejpeg
except ImportError:  # a platform that its wheels are not built for: Pillow does all the work
    simplejpeg = None

ORIENTATION = 0x0112  # the EXIF tag

_UPRIGHT = 1
_PLAIN = {"Gray", "YCbCr", "RGB"}
_START = b"\xff\xd8\xff"
_APP1, _SCAN = 0xE1, 0xDA
_EXIF = b"Exif\0\0"


class Header(NamedTuple):
    """What a plain file says of itself before anything is decoded, in pixels."""

    width: int
    height: int


def header(data: bytes) -> Header | None:
    """The header of a plain JPEG file; None for every other file."""
    if simplejpeg is None or data[:3] != _START:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except Exception:  # ValueError for damage, KeyError for a subsampling that it has no name for: Pillow decides
        return None
    return Header(width, height) if colours in _PLAIN and orientation(data) == _UPRIGHT else None


def pixels(data: bytes, *, least: tuple[int, int] | None = None) -> NDArray[np.uint8] | None:
    """The pixels (H, W, 3) of a plain file; None where the file is damaged.

    Args:
        data: The file.
        least: The width and height that are enough: the picture comes at a half, a quarter or an eighth of its size
            where that leaves as many. None: all of it.
    """
    reduced: dict[str, Any] = {} if least is None else {"min_width": least[0], "min_height": least[1], "min_factor": 2}
    try:
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", **reduced)
    except Exception:  # as above
        return None
    return decoded


def orientation(data: bytes) -> int:
    """The EXIF orientation of a JPEG file, 1 (upright) to 8; 1 where nothing readable says otherwise."""
    block = _exif(data)
    if block is None:
        return _UPRIGHT
    try:
        exif = Image.Exif()
        exif.load(block)
        return int(exif.get(ORIENTATION, _UPRIGHT))
    except Exception:  # broken metadata does not make the pixels wrong
        return _UPRIGHT


def _exif(data: bytes) -> bytes | None:
    """The EXIF block, by a walk over the segments that stand before the picture."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _SCAN:
            return None
        if kind == _APP1 and data.startswith(_EXIF, at + 4):
            return data[at + 4 : at + 2 + length]
        at += 2 + length
    return None
