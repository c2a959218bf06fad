"""What an image looks like, in a few numbers of 64 bits that hardly change when it is resized or compressed anew.

A pHash compares the lowest frequencies of the picture, brought to 64 × 64 grey pixels, with their median: 8 × 8 of them
for the hash that finds what is alike, 16 × 16 for a fine one that confirms it. A crop or a frame moves all frequencies,
so each picture has three of both: of the whole, of what a frame of one colour leaves, and of the inner 95 % of that.
Two pictures are near where the whole of one is near any of the other's.
"""

from __future__ import annotations

from typing import NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlc_core.loading import jpeg
from vlc_core.loading.decode import MAX_PIXELS, check_pixels, decode

BITS = 64
FINE = 4
"""Numbers of 64 bits in a fine hash."""

VARIANTS = 3
WHOLE, UNFRAMED, INNER = range(VARIANTS)

FLAT = 4.0
"""Standard deviation of the grey levels under which a picture is flat: the signs of its frequencies are noise."""

_LEAST = 128  # pixels a side that are decoded of a photograph; the hashes look at 64
_TOLERANCE = 12  # grey levels within which a line of pixels is one colour, compression included
_INNER = 0.95
_SIDE = 64


class Look(NamedTuple):
    """What an image looks like.

    Attributes:
        hashes: (3,) uint64, of the whole, of it without frame, of the inner part.
        fine: (3, 4) uint64, of the same.
        flat: Whether it is so plain that its hashes say nothing.
        width: In pixels.
        height: In pixels.
    """

    hashes: NDArray[np.uint64]
    fine: NDArray[np.uint64]
    flat: bool
    width: int
    height: int


def look_at(image: bytes | Image.Image) -> Look:
    """The hashes of an encoded file or of a picture.

    Raises:
        DataError: It cannot be decoded. The message is a clause.
    """
    grey, (width, height) = _grey(image)
    inside = without_frame(grey)
    parts = [grey, _inner(inside)] if inside is grey else [grey, inside, _inner(inside)]
    small = [part.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS) for part in parts]
    hashes = np.stack([_words(imagehash.phash(part, 8, _SIDE // 8)) for part in small])[:, 0]
    fine = np.stack([_words(imagehash.phash(part, 16, _SIDE // 16)) for part in small])
    of_each = [0, len(parts) - 2, len(parts) - 1]
    return Look(hashes[of_each], fine[of_each], _is_flat(small[-1]), width, height)


def without_frame(grey: Image.Image) -> Image.Image:
    """``grey`` without the lines of one colour at its edges; itself where they make up half of it or more."""
    pixels = np.asarray(grey).astype(np.int16)
    top, bottom = _frame(pixels), _frame(pixels[::-1])
    left, right = _frame(pixels.T), _frame(pixels.T[::-1])
    height, width = pixels.shape
    if 2 * (top + bottom) >= height or 2 * (left + right) >= width or not (top or bottom or left or right):
        return grey
    return grey.crop((left, top, width - right, height - bottom))


def _frame(pixels: NDArray[np.int16]) -> int:
    """How many of the first rows are of the colour of the very first pixel."""
    same = (np.abs(pixels - pixels[0, 0]) <= _TOLERANCE).all(axis=1)
    return int(len(same) if same.all() else same.argmin())


def _grey(image: bytes | Image.Image) -> tuple[Image.Image, tuple[int, int]]:
    """The picture in grey, at least as large as is looked at, and its size as a file."""
    header = jpeg.header(image) if isinstance(image, bytes) else None
    if header is not None and isinstance(image, bytes):
        check_pixels(*header, MAX_PIXELS)
        pixels = jpeg.pixels(image, least=(min(_LEAST, header.width), min(_LEAST, header.height)))
        if pixels is not None:
            return _reduced(Image.fromarray(pixels).convert("L")), (header.width, header.height)
    picture = decode(image)
    return _reduced(picture.convert("L")), picture.size


def _reduced(grey: Image.Image) -> Image.Image:
    factor = min(grey.size) // _LEAST
    return grey.reduce(factor) if factor > 1 else grey


def _inner(grey: Image.Image) -> Image.Image:
    left, top = round(grey.width * (1 - _INNER) / 2), round(grey.height * (1 - _INNER) / 2)
    return grey.crop((left, top, grey.width - left, grey.height - top))


def _words(found: imagehash.ImageHash) -> NDArray[np.uint64]:
    """The bits of a hash, 64 to a number."""
    return np.packbits(found.hash.reshape(-1)).view("<u8")


def _is_flat(grey: Image.Image) -> bool:
    return bool(np.asarray(grey, np.float32).std() < FLAT)
