"""Changes of place and sharpness against their definitions, point by point in floating point."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vlc_plugin_data.transforms import space

Floats = NDArray[np.float64]
SIDE = 24


def smooth() -> Image.Image:
    coarse = np.random.default_rng(2).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def levels(image: Image.Image) -> Floats:
    return np.asarray(image).astype(np.float64)


def test_flip() -> None:
    assert np.array_equal(levels(space.flip(smooth())), levels(smooth())[:, ::-1])


Where = Callable[[float, float], tuple[float, float]]
COSINE, SINE = math.cos(math.radians(21)), math.sin(math.radians(21))
MOVES: list[tuple[Callable[[Image.Image], Image.Image], Where]] = [
    (lambda image: space.shear_x(image, 0.21), lambda x, y: (x - 0.21 * y, y)),
    (lambda image: space.shear_y(image, -0.3), lambda x, y: (x, y + 0.3 * x)),
    (lambda image: space.translate_x(image, 2.75), lambda x, y: (x - 2.75, y)),
    (lambda image: space.translate_y(image, -4), lambda x, y: (x, y + 4)),
    (
        lambda image: space.rotate(image, 21),
        lambda x, y: (12 + COSINE * (x - 12) - SINE * (y - 12), 12 + SINE * (x - 12) + COSINE * (y - 12)),
    ),
]


@pytest.mark.parametrize("index", range(len(MOVES)))
def test_moves_show_each_point_where_it_comes_from(index: int) -> None:
    move, where_from = MOVES[index]
    image = smooth()
    moved = levels(move(image))
    for row, column in np.ndindex(SIDE, SIDE):
        x, y = where_from(column + 0.5, row + 0.5)
        if 1 < x < SIDE - 1 and 1 < y < SIDE - 1:
            assert np.abs(moved[row, column] - _between(levels(image), x - 0.5, y - 0.5)).max() <= 1.01
        elif not (0 <= x <= SIDE and 0 <= y <= SIDE):
            assert moved[row, column].tolist() == [128, 128, 128]


def _between(pixels: Floats, x: float, y: float) -> Floats:
    """Linear in both directions between the four pixels around a point."""
    left, top = math.floor(x), math.floor(y)
    right, down = x - left, y - top
    upper = (1 - right) * pixels[top, left] + right * pixels[top, left + 1]
    lower = (1 - right) * pixels[top + 1, left] + right * pixels[top + 1, left + 1]
    value: Floats = (1 - down) * upper + down * lower
    return value


def test_rotation_is_anticlockwise() -> None:
    image = Image.new("RGB", (9, 9))
    image.putpixel((8, 4), (255, 255, 255))  # in the east
    assert space.rotate(image, 90).getpixel((4, 0)) == (255, 255, 255)  # now in the north


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_blur_is_nearly_gaussian(sigma: float) -> None:
    image = smooth()
    distances = np.arange(-12, 13)
    kernel = np.exp(-(distances**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    exact = np.pad(levels(image), ((12, 12), (12, 12), (0, 0)), mode="edge")
    for axis in (0, 1):
        exact = np.apply_along_axis(np.convolve, axis, exact, kernel, mode="same")
    inner = slice(6, -6)  # at the edge, repeated boxes see other neighbours
    difference = np.abs(levels(space.blur(image, sigma)) - exact[12:-12, 12:-12])[inner, inner]
    assert difference.max() <= 4
    assert difference.mean() <= 1


@pytest.mark.parametrize("factor", [0.1, 1.0, 1.36, 1.9])
def test_sharpness(factor: float) -> None:
    pixels = levels(smooth())
    expected = pixels.copy()
    for row, column in np.ndindex(SIDE - 2, SIDE - 2):
        around = pixels[row : row + 3, column : column + 3]
        softened = (around.sum(axis=(0, 1)) + 4 * around[1, 1]) / 13
        expected[row + 1, column + 1] = softened + factor * (around[1, 1] - softened)
    assert np.abs(levels(space.sharpness(smooth(), factor)) - expected.clip(0, 255)).max() <= 1.51
