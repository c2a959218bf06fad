"""Where a random crop lies."""

from __future__ import annotations

import math

import numpy as np

from vlc_core.loading.picture import Box

_TRIES = 10


def random_box(
    size: tuple[int, int], rng: np.random.Generator, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> Box:
    """A part of random area and shape: the first of ten tries that fits, or else a central one.

    The crop of Inception (Szegedy et al., "Going Deeper with Convolutions", CVPR 2015), as torchvision made it common.

    Args:
        size: Width and height of the picture.
        rng: Where chance comes from.
        scale: The least and the greatest share of the picture's area.
        ratio: The least and the greatest width over height; between them, its logarithm is uniform.
    """
    full_width, full_height = size
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(_TRIES):
        for_area, for_shape, across, down = rng.random(4).tolist()
        area = full_width * full_height * (scale[0] + (scale[1] - scale[0]) * for_area)
        shape = math.exp(low + (high - low) * for_shape)
        width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < width <= full_width and 0 < height <= full_height:
            left = int(across * (full_width - width + 1))
            return Box(left, int(down * (full_height - height + 1)), width, height)
    return central_box(size, ratio=ratio)


def central_box(size: tuple[int, int], *, ratio: tuple[float, float]) -> Box:
    """The largest central part whose width over height is allowed."""
    full_width, full_height = size
    width = min(full_width, max(1, round(full_height * ratio[1])))
    height = min(full_height, max(1, round(full_width / ratio[0])))
    return Box((full_width - width) // 2, (full_height - height) // 2, width, height)
