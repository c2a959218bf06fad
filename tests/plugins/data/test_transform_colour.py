"""Changes of colour against their definitions, pixel by pixel in floating point."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vlc_plugin_data.transforms import colour

Floats = NDArray[np.float64]
LUMINANCE = np.array([0.299, 0.587, 0.114])


def noise(low: int = 0, high: int = 256) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(low, high, (17, 23, 3), dtype=np.uint8))


def levels(image: Image.Image) -> Floats:
    return np.asarray(image).astype(np.float64)


def bright(x: Floats, factor: float) -> Floats:
    return x * factor


def contrasted(x: Floats, factor: float) -> Floats:
    mean = float((x @ LUMINANCE).mean())
    return mean + factor * (x - mean)


def saturated(x: Floats, factor: float) -> Floats:
    grey: Floats = (x @ LUMINANCE)[..., None]
    return grey + factor * (x - grey)


@pytest.mark.parametrize("factor", [0.0, 0.4, 0.9, 1.0, 1.1, 1.7])
@pytest.mark.parametrize(
    ("change", "definition"),
    [(colour.brightness, bright), (colour.contrast, contrasted), (colour.saturation, saturated)],
)
def test_factors(change: colour.Colour, definition: Callable[[Floats, float], Floats], factor: float) -> None:
    image = noise()
    exact = definition(levels(image), factor).clip(0, 255)
    assert np.abs(levels(change(image, factor)) - exact).max() <= 1.51  # one for cutting, half for a rounded grey


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.03, 0.25, 0.5])
def test_hue(turn: float) -> None:
    image = noise(60, 200)
    exact = np.empty((17, 23, 3))
    for row, column in np.ndindex(17, 23):
        hue, saturation, value = colorsys.rgb_to_hsv(*levels(image)[row, column] / 255)
        exact[row, column] = colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)
    difference = np.abs(levels(colour.hue(image, turn)) - exact * 255)
    assert difference.max() <= 8  # hue and saturation pass through 256 steps
    assert difference.mean() <= 1.2


def test_a_turn_of_a_third_makes_red_green() -> None:
    assert colour.hue(Image.new("RGB", (1, 1), (200, 0, 0)), 1 / 3).getpixel((0, 0)) == (0, 200, 0)


def test_grayscale() -> None:
    image = noise()
    grey = levels(colour.grayscale(image))
    assert np.abs(grey - (levels(image) @ LUMINANCE)[..., None]).max() <= 0.51
    assert colour.grayscale(image).mode == "RGB"


def test_autocontrast() -> None:
    image = noise(60, 190)
    low, high = levels(image).min(axis=(0, 1)), levels(image).max(axis=(0, 1))
    assert np.abs(levels(colour.autocontrast(image)) - (levels(image) - low) * 255 / (high - low)).max() <= 1
    flat = Image.new("RGB", (3, 3), (7, 8, 9))
    assert np.array_equal(levels(colour.autocontrast(flat)), levels(flat))


def test_equalize_sends_each_level_to_the_share_of_pixels_below_it() -> None:
    image = noise(0, 128).resize((64, 64))
    for i in range(3):
        channel, after = levels(image)[..., i], levels(colour.equalize(image))[..., i]
        counts = Counter(channel.ravel().tolist())
        # In whole steps, and the most frequent level of all is not shared out: the tolerance.
        step = (channel.size - counts[max(counts)]) // 255
        below = np.array([sum(n for level, n in counts.items() if level < x) for x in channel.ravel()])
        assert np.abs(after.ravel() - np.minimum(255, (below + step // 2) // step)).max() <= 1


def test_jitter_is_its_four_parts_with_random_amounts_in_random_order() -> None:
    image = noise(40, 200)
    strengths, turn = (0.4, 0.3, 0.2), 0.1
    orders = set()
    for seed in range(60):
        reference = np.random.default_rng(seed)
        amounts = [reference.uniform(1 - s, 1 + s) for s in strengths] + [reference.uniform(-turn, turn)]
        order = tuple(reference.permutation(4).tolist())
        expected = image
        for part in order:
            change = (colour.brightness, colour.contrast, colour.saturation, colour.hue)[part]
            expected = change(expected, amounts[part])
        drawn = colour.jitter(image, np.random.default_rng(seed), strengths=strengths, turn=turn)
        assert np.array_equal(levels(drawn), levels(expected))
        orders.add(order)
    assert len(orders) > 18  # of 24


def test_jitter_without_strength_changes_next_to_nothing() -> None:
    image = noise(40, 200)
    drawn = colour.jitter(image, np.random.default_rng(0), strengths=(0, 0, 0), turn=0)
    assert np.abs(levels(drawn) - levels(image)).max() <= 6  # HSV in 256 steps
