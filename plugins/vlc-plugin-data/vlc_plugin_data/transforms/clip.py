"""The transform `clip`: a random crop and nothing else."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from vlc_core import Transform
from vlc_core.loading.picture import Picture
from vlc_plugin_data.transforms.crop import random_box
from vlc_plugin_data.transforms.ranges import Often, Positive, Share, ordered


@final
class RandomCrop(Transform):
    """A crop of random area and shape, resized to the square (bicubic, antialiased)."""

    def __init__(
        self,
        *,
        scale: tuple[Share, Share] = (0.9, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        flip: Often = 0.0,
        reduced: bool = False,
    ) -> None:
        """Keeps the options.

        Args:
            scale: The least and the greatest share of the picture's area.
            ratio: The least and the greatest width over height; between them, its logarithm is uniform.
            flip: How often a view is mirrored. Leave it at 0 where left and right mean something: in
                writing, or in captions that say so.
            reduced: Large photographs are decoded at a half, a quarter or an eighth of their size where the
                crop keeps pixels enough. Faster, but the pixels are slightly other ones.
        """
        self.scale = ordered(scale)
        self.ratio = ordered(ratio)
        self.flip = flip
        self.reduced = reduced

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        box = random_box(picture.size, rng, scale=self.scale, ratio=self.ratio)
        view = picture.cut(box, size, reduced=self.reduced)
        return view[:, ::-1] if self.flip > 0 and rng.random() < self.flip else view
