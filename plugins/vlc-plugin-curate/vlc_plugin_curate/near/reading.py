"""The pictures of a source, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlc_core import DataError, Dataset

Picture = bytes | Image.Image
ImageSource = Dataset | Iterable[tuple[str, Picture]]
"""A dataset, whose rows are its samples; or anything that yields a key and an image, rows counted from 0.

An image is an encoded file or a picture; bytes that are none (``b""`` for what could not be read) are counted.
"""


@final
class Reader:
    """Reads a source from its start to its end, once.

    Args:
        source: A dataset, or what can be iterated again.
        name: What it is called in messages.

    Raises:
        ValueError: It is an iterator, which was read before.
    """

    def __init__(self, source: ImageSource, name: str) -> None:
        self._name = name
        self._dataset = source if isinstance(source, Dataset) else None
        self._items = iter(()) if isinstance(source, Dataset) else enumerate(source)
        if not isinstance(source, Dataset) and iter(source) is source:
            raise ValueError(f"{name} can be iterated only once: give a dataset, or what makes an iterator each time")

    def pictures(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
        """Those in ``rows``, which ascend and come after all rows that were asked for before.

        Raises:
            DataError: One that could be read before cannot any more.
        """
        if self._dataset is not None:
            yield from ((row, self._of_dataset(self._dataset, row)) for row in rows.tolist())
            return
        for row in rows.tolist():
            yield row, next(image for at, (_, image) in self._items if at == row)

    def _of_dataset(self, dataset: Dataset, row: int) -> Picture:
        try:
            image = dataset[row].image
        except DataError as error:
            raise DataError(f"image {row} of {self._name} has changed meanwhile: {error}; start again") from error
        assert not isinstance(image, np.ndarray)  # it had no looks
        return image
