"""Transforms: a decoded image to one training view of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Transform(ABC):
    """Draws a random view of an image.

    Keyword-only parameters of ``__init__`` are the recipe's options. Pure: everything random comes from ``rng``.
    """

    @abstractmethod
    def __call__(self, image: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A view of the RGB ``image`` as (size, size, 3) uint8."""
