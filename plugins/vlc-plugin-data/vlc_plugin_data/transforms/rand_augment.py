"""RandAugment (Cubuk et al., arXiv 1909.13719) with the operations of ALBEF (arXiv 2107.07651), which TCL kept.

Colours that words name stay as they are: no solarizing, no posterizing, no change of saturation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from vlc_plugin_data.transforms.colour import autocontrast, brightness, equalize
from vlc_plugin_data.transforms.space import rotate, sharpness, shear_x, shear_y, translate_x, translate_y

Operation = Callable[[Image.Image, float, int], Image.Image]
"""Of a picture, a magnitude 0…1 and a sign, 1 or -1."""

_SHEAR = 0.3
_DEGREES = 30.0
_SHARE = 10 / 256  # of the side; the published ten pixels, at the size that they were published for


def _factor(magnitude: float) -> float:
    """0.1 … 1.9; 1, halfway, changes nothing."""
    return 0.1 + 1.8 * magnitude


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, magnitude, sign: image,
    "autocontrast": lambda image, magnitude, sign: autocontrast(image),
    "equalize": lambda image, magnitude, sign: equalize(image),
    "brightness": lambda image, magnitude, sign: brightness(image, _factor(magnitude)),
    "sharpness": lambda image, magnitude, sign: sharpness(image, _factor(magnitude)),
    "shear_x": lambda image, magnitude, sign: shear_x(image, sign * _SHEAR * magnitude),
    "shear_y": lambda image, magnitude, sign: shear_y(image, sign * _SHEAR * magnitude),
    "translate_x": lambda image, magnitude, sign: translate_x(image, sign * _SHARE * magnitude * image.width),
    "translate_y": lambda image, magnitude, sign: translate_y(image, sign * _SHARE * magnitude * image.height),
    "rotate": lambda image, magnitude, sign: rotate(image, sign * _DEGREES * magnitude),
}
_IN_ORDER = tuple(OPERATIONS.values())


def rand_augment(
    image: Image.Image, rng: np.random.Generator, *, count: int, magnitude: float, often: float = 0.5
) -> Image.Image:
    """``count`` operations drawn with replacement, one after the other.

    Args:
        image: RGB.
        rng: Where chance comes from.
        count: How many are drawn.
        magnitude: Of each, 0…1.
        often: The probability that one that was drawn is applied.
    """
    drawn = rng.integers(len(_IN_ORDER), size=count)
    applied = rng.random(count) < often
    signs = 1 - 2 * rng.integers(2, size=count)
    for operation, sign in zip(drawn[applied].tolist(), signs[applied].tolist(), strict=True):
        image = _IN_ORDER[operation](image, magnitude, sign)
    return image
