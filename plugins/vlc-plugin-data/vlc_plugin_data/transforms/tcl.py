"""The transform `tcl`: strong augmentation, for methods that compare two views of a picture."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from vlc_core import Transform
from vlc_core.loading.picture import Picture
from vlc_plugin_data.transforms import colour, space
from vlc_plugin_data.transforms.crop import random_box
from vlc_plugin_data.transforms.rand_augment import rand_augment
from vlc_plugin_data.transforms.ranges import Often, Positive, Share, Strength, ordered

_GREATEST = 10


@final
class StrongViews(Transform):
    """A random crop, then colour jitter, grayscale, blur, mirroring and RandAugment, each by chance."""

    def __init__(
        self,
        *,
        scale: tuple[Share, Share] = (0.2, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        jitter: Often = 0.8,
        brightness: Strength = 0.4,
        contrast: Strength = 0.4,
        saturation: Strength = 0.4,
        hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1,
        grayscale: Often = 0.2,
        blur: Often = 0.5,
        sigma: tuple[Positive, Positive] = (0.1, 2.0),
        flip: Often = 0.5,
        operations: Annotated[int, Field(ge=0, le=10)] = 2,
        magnitude: Annotated[float, Field(ge=0, le=_GREATEST)] = 7.0,
        reduced: bool = False,
    ) -> None:
        """Keeps the options.

        Args:
            scale: The least and the greatest share of the picture's area.
            ratio: The least and the greatest width over height; between them, its logarithm is uniform.
            jitter: How often the colours of a view are changed.
            brightness: How far, then: a factor from 1 - brightness to 1 + brightness.
            contrast: Likewise.
            saturation: Likewise.
            hue: The most that hues are turned, as a share of the whole circle.
            grayscale: How often a view loses its colours.
            blur: How often a view is blurred.
            sigma: The least and the greatest standard deviation of the blur, in pixels of the view.
            flip: How often a view is mirrored. Set it to 0 where left and right mean something: in writing, or
                in captions that say so.
            operations: How many operations RandAugment draws; each is applied to half of the views it is
                drawn for. 0 leaves RandAugment out.
            magnitude: How strong they are, 0 to 10.
            reduced: Large photographs are decoded at a half, a quarter or an eighth of their size where the
                crop keeps pixels enough. Faster, but the pixels are slightly other ones.
        """
        self.scale, self.ratio, self.reduced = ordered(scale), ordered(ratio), reduced
        self.jitter, self.strengths, self.hue = jitter, (brightness, contrast, saturation), hue
        self.grayscale, self.flip = grayscale, flip
        self.blur, self.sigma = blur, ordered(sigma)
        self.operations, self.magnitude = operations, magnitude / _GREATEST

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        box = random_box(picture.size, rng, scale=self.scale, ratio=self.ratio)
        view = Image.fromarray(picture.cut(box, size, reduced=self.reduced))
        view = self._recoloured(view, rng)
        if rng.random() < self.blur:
            view = space.blur(view, rng.uniform(*self.sigma))
        if rng.random() < self.flip:
            view = space.flip(view)
        return np.asarray(rand_augment(view, rng, count=self.operations, magnitude=self.magnitude))

    def _recoloured(self, view: Image.Image, rng: np.random.Generator) -> Image.Image:
        if rng.random() < self.jitter:
            view = colour.jitter(view, rng, strengths=self.strengths, turn=self.hue)
        return colour.grayscale(view) if rng.random() < self.grayscale else view
