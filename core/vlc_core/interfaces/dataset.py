"""Datasets: numbered samples, with class names where they are labelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlc_core.batch import Sample

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1 in shares of the picture's width and height; x grows to the right, y downwards."""


class Grounded(NamedTuple):
    """Words that name something in an image.

    Attributes:
        text: The words.
        boxes: Where what they name is: several rectangles where it is several things.
    """

    text: str
    boxes: tuple[Rectangle, ...]


class Dataset(ABC):
    """A source of samples with random access.

    Keyword-only parameters of ``__init__`` are the recipe's options. An instance is pickled into worker processes
    and must not hold its whole content as Python objects.

    Attributes:
        classes: The class names that ``Sample.label`` points into; None where samples carry no labels.
        numbered: Whether ``classes`` are the labels' own numbers, for want of names: nothing that a prompt could say.
        shards: How many samples each file of many holds, in the order of indices, where neighbours are best read
            together; None where any sample is as quickly read as any other.
        vector_width: F, where samples carry precomputed vectors in place of images.
        languages: What :meth:`texts_in` may be asked for; None where nobody knows which language a caption is in.
    """

    classes: list[str] | None = None
    numbered: bool = False
    shards: Sequence[int] | None = None
    vector_width: int | None = None
    languages: Sequence[str] | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Sample ``index``, 0 ≤ index < len.

        Raises:
            DataError: This sample cannot be read; the loader draws another one in its place.
        """

    def texts(self, index: int) -> tuple[str, ...]:
        """The captions of sample ``index`` alone; override where they can be had without reading its image."""
        return self[index].texts

    def texts_in(self, language: str, index: int) -> tuple[str, ...]:
        """The captions of sample ``index`` in one of the ``languages``, for datasets that know; it may have none."""
        return ()

    def labels(self) -> NDArray[np.integer] | None:
        """``Sample.label`` of every sample, (len,); None where that takes reading the samples themselves."""
        return None

    def phrases(self, index: int) -> tuple[Grounded, ...]:
        """What is named in sample ``index`` and where it is, for datasets that know."""
        return ()

    def candidates(self, index: int) -> tuple[Rectangle, ...]:
        """Rectangles among which phrases are looked for: by default those of all phrases, each once."""
        return tuple(dict.fromkeys(box for phrase in self.phrases(index) for box in phrase.boxes))

    def answers(self, index: int) -> tuple[tuple[int, float], ...]:
        """``Sample.answers`` of sample ``index`` alone; override where they can be had without reading its image."""
        return self[index].answers
