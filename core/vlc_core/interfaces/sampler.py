"""Samplers: which sample of which source has a given number.

The number is all there is: order, augmentation and every redraw follow from (seed, number), so a run reads the same
samples whatever its ranks and workers, and its position is one integer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlc_core.interfaces.dataset import Dataset

Int64Array = NDArray[np.int64]


class Source(NamedTuple):
    """A named dataset of a recipe's ``data.train``.

    Attributes:
        name: Of the source in the recipe.
        dataset: Where samples come from.
        share: Its part of every batch, where the recipe names one.
    """

    name: str
    dataset: Dataset
    share: float | None = None


class Sampler(ABC):
    """A pure function from sample numbers to samples.

    Positional parameters of ``__init__`` are the sources and the seed; keyword-only ones are the recipe's options.

    Attributes:
        reads_shares: Whether it keeps to ``Source.share``; a recipe that names one for another sampler is refused.
    """

    reads_shares: ClassVar[bool] = False

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        self.sources = tuple(sources)
        self.sizes = np.array([len(source.dataset) for source in sources], dtype=np.int64)
        self.seed = seed

    @abstractmethod
    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The source and the index within it for each of ``numbers`` (N,); two (N,) arrays. Pure."""

    @property
    def epoch(self) -> int:
        """How many consecutive numbers make an epoch; by default as many as there are samples."""
        return int(self.sizes.sum())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Which part of the numbers goes to each source, in the long run; by default as large as the source is."""
        parts: NDArray[np.float64] = self.sizes / self.sizes.sum()
        return parts
