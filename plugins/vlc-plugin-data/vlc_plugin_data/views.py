"""Transforms: what a model is shown of a picture."""

from __future__ import annotations

import math
from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from vlc_core import Transform
from vlc_core.loading.decode import fit

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

_TRIES = 10


@final
class CentreCrop(Transform):
    """The shorter side resized (bicubic, antialiased) and the centre kept, as in evaluation."""

    def __call__(self, image: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        return fit(image, size)


@final
class RandomCrop(Transform):
    """A crop of random area and shape, resized to the square (bicubic, antialiased)."""

    def __init__(
        self,
        *,
        scale: tuple[Share, Share] = (0.9, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        flip: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ) -> None:
        """Keeps the options.

        Args:
            scale: The least and the greatest share of the picture's area.
            ratio: The least and the greatest width over height; between them, its logarithm is uniform.
            flip: How often a view is mirrored. Leave it at 0 where left and right mean something: in
                writing, or in captions that say so.
        """
        self.scale = (min(scale), max(scale))
        self.ratio = (min(ratio), max(ratio))
        self.flip = flip

    def __call__(self, image: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        left, top, width, height = self._box(image.size, rng)
        view = image.crop((left, top, left + width, top + height)).resize((size, size), Image.Resampling.BICUBIC)
        if rng.random() < self.flip:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(view)

    def _box(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Left, top, width and height: the first of ten random crops that fits, or else a central one."""
        full_width, full_height = size
        for _ in range(_TRIES):
            area = full_width * full_height * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= full_width and 0 < height <= full_height:
                left = int(rng.integers(full_width - width + 1))
                return left, int(rng.integers(full_height - height + 1)), width, height
        return self._central(full_width, full_height)

    def _central(self, full_width: int, full_height: int) -> tuple[int, int, int, int]:
        """The largest central box whose shape is allowed."""
        width = min(full_width, max(1, round(full_height * self.ratio[1])))
        height = min(full_height, max(1, round(full_width / self.ratio[0])))
        return (full_width - width) // 2, (full_height - height) // 2, width, height
