"""What samplers with a share for each source have in common."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlc_core import Sampler, Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import Purpose, shuffled
from vlc_plugin_data.samplers.shares import counts, divide, each


class Mixed(Sampler):
    """Deals numbers out to sources by their weights; a subclass says in which order a source is read.

    Args:
        sources: Of the recipe.
        seed: Of the run.
        weights: Of each source; shares are their ratio.
        lengths: How many numbers of its own each source takes until all its samples have come; as many as it has
            samples if not given.
    """

    def __init__(
        self, sources: Sequence[Source], seed: int, weights: Sequence[int], lengths: Sequence[int] | None = None
    ) -> None:
        super().__init__(sources, seed)
        self.weights = tuple(weights)
        self._lengths = self.sizes.tolist() if lengths is None else list(lengths)
        self._epoch = _epoch(self.weights, self._lengths)

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        sources, positions = divide(numbers, self.weights)
        indices = np.empty_like(positions)
        for source, here in each(sources):
            indices[here] = self.order(source, positions[here])
        return sources, indices

    @abstractmethod
    def order(self, source: int, positions: Int64Array) -> Int64Array:
        """The indices (N,) that stand at ``positions`` (N,) in the endless line of a source's samples. Pure."""

    @property
    def epoch(self) -> int:
        """How many numbers it takes until every sample of every source has come."""
        return self._epoch

    @property
    def shares(self) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = np.array(self.weights) / sum(self.weights)
        return shares

    def reshuffled(self, source: int, positions: Int64Array) -> Int64Array:
        """The order in which a source comes whole and newly shuffled, again and again."""
        return shuffled(positions, int(self.sizes[source]), self.seed, Purpose.ORDER, source)


def _epoch(weights: Sequence[int], lengths: Sequence[int]) -> int:
    total = sum(weights)
    least = max(length * total // weight for weight, length in zip(weights, lengths, strict=True))
    most = 2 * least + len(weights) * total  # shares are kept to within a few numbers

    def enough(numbers: int) -> bool:
        return all(count >= length for count, length in zip(counts(numbers, weights), lengths, strict=True))

    return bisect_left(range(most), True, key=enough)
