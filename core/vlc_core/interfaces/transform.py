"""Transforms: a picture to one training view of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vlc_core.loading.picture import Picture


class Transform(ABC):
    """Draws a random view of a picture.

    Keyword-only parameters of ``__init__`` are the recipe's options. Pure: everything random comes from ``rng``, which
    is made from (seed, sample number, view), so a view depends neither on other views nor on who computes it.
    """

    @abstractmethod
    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A view of ``picture`` as (size, size, 3) uint8.

        Normalising is left to the image encoder, on its device. ``picture.cut`` gives a resized part,
        ``picture.pixels`` everything as an array and ``picture.pil()`` everything for Pillow; the picture is not to be
        changed, as other views are cut from it.

        Raises:
            DataError: The file is broken; another sample takes its place.
        """
