"""Changes of colour: pure functions from an RGB picture to another of the same size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Colour = Callable[[Image.Image, float], Image.Image]


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """Every level times ``factor`` ≥ 0, cut at 255."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """The distance of every level from the picture's mean luminance times ``factor`` ≥ 0."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturation(image: Image.Image, factor: float) -> Image.Image:
    """The distance of every level from its pixel's luminance times ``factor`` ≥ 0."""
    return ImageEnhance.Color(image).enhance(factor)


def hue(image: Image.Image, turn: float) -> Image.Image:
    """Hues turned by ``turn`` of a whole circle, -0.5…0.5, to the next of 256 steps."""
    hues, saturations, values = image.convert("HSV").split()
    steps = round(turn * 256)
    turned = hues.point([(level + steps) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturations, values)).convert("RGB")


def grayscale(image: Image.Image) -> Image.Image:
    """All three channels as the luminance (ITU-R BT.601)."""
    return image.convert("L").convert("RGB")


def autocontrast(image: Image.Image) -> Image.Image:
    """The levels of each channel stretched from black to white."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image) -> Image.Image:
    """The levels of each channel moved until all are about as frequent."""
    return ImageOps.equalize(image)


def jitter(
    image: Image.Image,
    rng: np.random.Generator,
    *,
    strengths: tuple[float, float, float],
    turn: float,
) -> Image.Image:
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        image: RGB.
        rng: Where chance comes from.
        strengths: Of brightness, contrast and saturation: a factor is drawn from 1 - s … 1 + s for each.
        turn: The most that hues are turned, of a whole circle.
    """
    factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
    changes: list[tuple[Colour, float]] = [
        *zip((brightness, contrast, saturation), factors, strict=True),
        (hue, rng.uniform(-turn, turn)),
    ]
    for place in rng.permutation(len(changes)):
        change, amount = changes[place]
        image = change(image, amount)
    return image
