"""Datasets: numbered samples, with class names where they are labelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlc_core.batch import Sample


class Dataset(ABC):
    """A source of samples with random access.

    Keyword-only parameters of ``__init__`` are the recipe's options. An instance is pickled into worker processes
    and must not hold its whole content as Python objects.

    Attributes:
        classes: The class names that ``Sample.label`` points into; None where samples carry no labels.
        shards: How many samples each file of many holds, in the order of indices, where neighbours are best read
            together; None where any sample is as quickly read as any other.
        vector_width: F, where samples carry precomputed vectors in place of images.
    """

    classes: list[str] | None = None
    shards: Sequence[int] | None = None
    vector_width: int | None = None

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

    def labels(self) -> NDArray[np.integer] | None:
        """``Sample.label`` of every sample, (len,); None where that takes reading the samples themselves."""
        return None
