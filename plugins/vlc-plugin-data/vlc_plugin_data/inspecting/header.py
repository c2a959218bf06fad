"""What an image file says of itself in its first bytes; no pixel is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlc_core.loading.decode import MAX_PIXELS, decode, orientation_of, readable_formats

VECTOR = "vector"

_TURNED = (5, 6, 7, 8)  # values of the EXIF tag under which width and height change places


class Header(NamedTuple):
    """Of one image.

    Attributes:
        width: In pixels, as the picture is seen upright; the length of a vector.
        height: In pixels; 1 for a vector.
        format: As Pillow calls it; ``drawn`` for a picture that was never a file, ``vector`` for precomputed features.
    """

    width: int
    height: int
    format: str


def read_header(image: bytes | Image.Image | NDArray[np.float32]) -> Header:
    """The size and format of ``image``.

    Raises:
        DataError: Training would refuse it by its first bytes: it is empty, no image, or declares too many pixels.
            The message is a clause.
    """
    if isinstance(image, Image.Image):
        return Header(image.width, image.height, "drawn")
    if isinstance(image, np.ndarray):
        return Header(image.size, 1, VECTOR)
    found = _read(image)
    if found is None or found.width * found.height > MAX_PIXELS:
        picture = decode(image)  # raises what training would say; returns where only a whole look finds the image
        return Header(picture.width, picture.height, "unknown")
    return found


def _read(data: bytes) -> Header | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=readable_formats()) as image:
                (width, height), kind = image.size, image.format or "unknown"
                turned = orientation_of(image) in _TURNED
    except Exception:  # Pillow's readers raise almost anything on broken files; decoding names the fault
        return None
    return Header(height, width, kind) if turned else Header(width, height, kind)
