"""Samplers that differ in how much of a batch each source gets; within a source, all of them shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import final

from vlc_core import Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_plugin_data.samplers.mixed import Mixed
from vlc_plugin_data.samplers.shares import complete, whole_weights


@final
class Balanced(Mixed):
    """Every source gives the same part of every batch; smaller ones are repeated, newly shuffled each time.

    An epoch lasts until the largest source has come whole.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        super().__init__(sources, seed, [1] * len(sources))

    def order(self, source: int, positions: Int64Array) -> Int64Array:
        return self.reshuffled(source, positions)


@final
class Proportional(Mixed):
    """Every source gives the same part of every batch as it has of all samples; every sample comes once an epoch.

    The sampler ``shuffle`` does so on average, and this one in each batch.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        super().__init__(sources, seed, whole_weights([Fraction(len(source.dataset)) for source in sources]))

    def order(self, source: int, positions: Int64Array) -> Int64Array:
        return self.reshuffled(source, positions)


@final
class Weighted(Mixed):
    """Every source gives the part of every batch that its key ``share`` names.

    Sources that name none divide what is left in proportion to their sizes; where all name one, their ratio counts. An
    epoch lasts until every source has come whole.
    """

    reads_shares = True

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        """Reads the shares.

        Raises:
            ValueError: No source names a share, or those that do leave nothing for the others.
        """
        if all(source.share is None for source in sources):
            raise ValueError(
                "no source names its share: write `share: 0.5` on a source, or use balanced or proportional"
            )
        sizes = [len(source.dataset) for source in sources]
        super().__init__(sources, seed, complete([source.share for source in sources], sizes))

    def order(self, source: int, positions: Int64Array) -> Int64Array:
        return self.reshuffled(source, positions)
