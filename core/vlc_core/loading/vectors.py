"""Precomputed vectors in place of pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset


def as_picture(image: bytes | Image.Image | NDArray[np.float32]) -> bytes | Image.Image:
    """What a sample carries, where an encoder takes pictures.

    Raises:
        DataError: It is a vector. The message is a clause.
    """
    if isinstance(image, np.ndarray):
        raise DataError("it is a vector, and the image encoder takes pictures")
    return image


def as_vector(image: object, width: int) -> NDArray[np.float32]:
    """What a sample carries in place of an image, (F,).

    Args:
        image: Of the sample.
        width: F.

    Raises:
        DataError: It is no vector, has another width, or holds a number that is not finite. The message is a clause.
    """
    if not isinstance(image, np.ndarray):
        raise DataError("it is a picture, and the image encoder takes vectors")
    if image.shape != (width,):
        numbers = "×".join(map(str, image.shape))
        raise DataError(f"its vector has {numbers} numbers, and the image encoder takes {width}")
    if not np.isfinite(image).all():
        raise DataError("its vector holds a number that is not finite")
    return image.astype(np.float32, copy=False)


def check_width(dataset: Dataset, width: int | None, *, data: str, encoder: str) -> None:
    """Compares what a dataset gives with what an image encoder takes, before anything is read.

    Args:
        dataset: Gives pictures or vectors.
        width: F of the encoder; None where it takes pictures.
        data: What messages call the dataset.
        encoder: What they call the encoder.

    Raises:
        RecipeError: They differ.
    """
    given = dataset.vector_width
    if given == width:
        return
    if given is None:
        raise RecipeError(f"{data} gives pictures, and {encoder} takes vectors: name the column that holds them")
    if width is None:
        raise RecipeError(f"{data} gives vectors and no pictures: use the image encoder features, or leave them out")
    raise RecipeError(f"{data} gives vectors of {given} numbers, and {encoder} takes {width}: set its width to {given}")
