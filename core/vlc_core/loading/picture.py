"""What a transform is given: a picture of known size, decoded when its pixels are asked for.

Bicubic with antialiasing throughout, in the fixed-point arithmetic that torch has for bytes: within one level of what
Pillow makes of the same crop, several times as fast.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vlc_core.errors import DataError
from vlc_core.loading import jpeg
from vlc_core.loading.decode import MAX_PIXELS, check_pixels, decode

_LONG = 3  # times as long as wide: resizing all of it for the sake of its centre no longer pays


class Box(NamedTuple):
    """A part of a picture, in whole pixels of it."""

    left: int
    top: int
    width: int
    height: int


@final
class Picture:
    """An upright RGB picture.

    Args:
        image: An encoded file, or a picture that is already drawn.
        max_pixels: Files whose header declares more are refused before anything is decoded.

    Raises:
        DataError: The file is no image, is broken or declares too many pixels. A photograph that is cut short says so
            only when it is decoded. The message is a clause.
    """

    __slots__ = ("_file", "_max_pixels", "_pixels", "size")

    size: tuple[int, int]
    """Width and height."""

    def __init__(self, image: bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> None:
        self._file: bytes | None = None
        self._pixels: NDArray[np.uint8] | None = None
        self._max_pixels = max_pixels
        header = jpeg.header(image) if isinstance(image, bytes) else None
        if header is not None and isinstance(image, bytes):
            check_pixels(*header, max_pixels)
            self._file, self.size = image, (header.width, header.height)
        else:
            drawn = decode(image, max_pixels=max_pixels)
            self._pixels, self.size = np.array(drawn), drawn.size

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, decoded once and not to be written to.

        Raises:
            DataError: The file is cut short or broken. The message is a clause.
        """
        if self._pixels is None:
            assert self._file is not None
            decoded = jpeg.pixels(self._file)
            self._pixels = self._second_opinion() if decoded is None else decoded
        return self._pixels

    def pil(self) -> Image.Image:
        """The whole picture for Pillow."""
        return Image.fromarray(self.pixels)

    def cut(self, box: Box, size: int, *, reduced: bool = False) -> NDArray[np.uint8]:
        """The part of the picture in ``box``, resized to (size, size, 3) uint8.

        Args:
            box: Within the picture.
            size: The side of the result in pixels.
            reduced: Photographs are decoded at a half, a quarter or an eighth of their size where the box still has
                ``size`` pixels a side: faster, but slightly other pixels, and the box moves to whole pixels of the
                smaller picture.

        Raises:
            DataError: As :attr:`pixels`.
        """
        pixels, box = self._reduced(box, size) if reduced else (self.pixels, box)
        part = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
        return resize(part, size, size)

    def _reduced(self, box: Box, size: int) -> tuple[NDArray[np.uint8], Box]:
        """Enough pixels for a view of ``box``, and the box among them."""
        enough = size / min(box.width, box.height)
        if self._file is None or self._pixels is not None or enough > 0.5:
            return self.pixels, box
        width, height = self.size
        pixels = jpeg.pixels(self._file, least=(math.ceil(width * enough), math.ceil(height * enough)))
        return (self.pixels, box) if pixels is None else (pixels, _scaled(box, self.size, pixels))

    def _second_opinion(self) -> NDArray[np.uint8]:
        """Pillow's: the pixels of a file that only seemed damaged, or what is wrong with it."""
        assert self._file is not None
        drawn = np.array(decode(self._file, max_pixels=self._max_pixels))
        if drawn.shape[:2] != self.size[::-1]:
            raise DataError("the image is broken: its header and its pixels differ in size")
        return drawn


def fit(image: Picture | Image.Image, size: int) -> NDArray[np.uint8]:
    """The centre of a picture after its shorter side is resized to ``size``: (size, size, 3) uint8.

    A very long picture costs no more than a square.
    """
    picture = image if isinstance(image, Picture) else Picture(image)
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    scaled = size * long // short
    start = round((scaled - size) / 2)
    if long > _LONG * short:
        return _fit_long(picture, size, start * long / scaled, size * long / scaled)
    if width >= height:
        return resize(picture.pixels, scaled, size)[:, start : start + size]
    return resize(picture.pixels, size, scaled)[start : start + size]


def resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``pixels`` (H, W, 3) uint8 resized to (height, width, 3)."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image_1CHW = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    if _rows_first(pixels.shape, width, height):
        image_1CHW = _interpolated(image_1CHW, pixels.shape[1], height)
    resized: NDArray[np.uint8] = _interpolated(image_1CHW, width, height)[0].permute(1, 2, 0).numpy()
    return resized


def _rows_first(shape: tuple[int, ...], width: int, height: int) -> bool:
    """Whether fewer rows are made before fewer columns, which is seen in the rounding between the two passes.

    Pillow (13 and later) does so where the height shrinks more than twice as much as the width.
    """
    return shape[0] > height and (shape[0] - height) * width > 2 * (shape[1] - width) * height


def _interpolated(image_1CHW: Tensor, width: int, height: int) -> Tensor:
    return torch.nn.functional.interpolate(image_1CHW, size=(height, width), mode="bicubic", antialias=True)


def _fit_long(picture: Picture, size: int, start: float, length: float) -> NDArray[np.uint8]:
    """``length`` pixels of the longer side from ``start`` on; Pillow's boxes may begin between two pixels."""
    width, height = picture.size
    stop = min(start + length, max(width, height))
    box = (start, 0.0, stop, height) if width >= height else (0.0, start, width, stop)
    return np.array(picture.pil().resize((size, size), Image.Resampling.BICUBIC, box=box))


def _scaled(box: Box, size: tuple[int, int], pixels: NDArray[np.uint8]) -> Box:
    """``box`` of a picture of ``size`` in a smaller version of it, to the nearest pixel."""
    across, down = pixels.shape[1] / size[0], pixels.shape[0] / size[1]
    left, top = round(box.left * across), round(box.top * down)
    width = min(max(1, round(box.width * across)), pixels.shape[1] - left)
    height = min(max(1, round(box.height * down)), pixels.shape[0] - top)
    return Box(left, top, width, height)
