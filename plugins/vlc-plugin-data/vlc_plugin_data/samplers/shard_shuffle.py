"""The sampler for shards that are far away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, final

import numpy as np
from pydantic import Field

from vlc_core import Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import Purpose
from vlc_plugin_data.samplers.lanes import Line, interleave, lay
from vlc_plugin_data.samplers.mixed import Mixed
from vlc_plugin_data.samplers.shares import complete

_KEPT = 2  # epochs whose lines are kept: a batch may stand in two


@final
class ShardShuffle(Mixed):
    """Shards in a new random order each epoch, read in interleaved lanes, neighbours in blocks; every sample once.

    What stands in one block always comes together, so shards should hold their samples in a random order. Sources
    without shards are shuffled sample by sample. Sources share a batch in proportion to their sizes, unless they name a
    ``share``.
    """

    reads_shares = True

    def __init__(
        self,
        sources: Sequence[Source],
        seed: int,
        *,
        lanes: Annotated[int, Field(gt=0)] = 64,
        block: Annotated[int, Field(gt=0)] = 16,
    ) -> None:
        """Lays out the shards.

        Args:
            lanes: In how many places a source is read at a time. With lanes × block a multiple of the batch, and a
                rank's part of the batch a multiple of the block, every lane is read by one rank alone.
            block: How many neighbours of a shard come together. More mean longer reads, fewer a better mixture.

        Raises:
            ValueError: No source has shards, a source's shards hold more or fewer samples than it, or shares leave
                nothing for the others.
        """
        sizes = [len(source.dataset) for source in sources]
        super().__init__(sources, seed, complete([source.share for source in sources], sizes))
        self.lanes, self.block = lanes, block
        self._shards = [_shards(source) for source in sources]
        if all(shards is None for shards in self._shards):
            raise ValueError(
                "no source is read from shards: use the sampler shuffle, or proportional for several sources"
            )
        self._lines: dict[tuple[int, int], Line] = {}

    def order(self, source: int, positions: Int64Array) -> Int64Array:
        if self._shards[source] is None:
            return self.reshuffled(source, positions)
        size = int(self.sizes[source])
        epochs, within = np.divmod(positions, size)
        places = interleave(within, size, self.lanes, self.block)
        indices = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            indices[here] = self._line(source, epoch).indices(places[here])
        return indices

    def _line(self, source: int, epoch: int) -> Line:
        """The line of an epoch; kept, because laying a hundred thousand shards takes longer than a batch."""
        if (source, epoch) not in self._lines:
            shards = self._shards[source]
            assert shards is not None
            while len(self._lines) >= _KEPT * len(self.sources):
                del self._lines[next(iter(self._lines))]
            self._lines[source, epoch] = lay(shards, self.seed, Purpose.ORDER, source, epoch)
        return self._lines[source, epoch]


def _shards(source: Source) -> Int64Array | None:
    if source.dataset.shards is None:
        return None
    shards = np.asarray(source.dataset.shards, dtype=np.int64)
    if shards.sum() != len(source.dataset):
        raise ValueError(
            f"the shards of the source {source.name!r} hold {shards.sum():,} samples, and it says that it has "
            f"{len(source.dataset):,}"
        )
    return shards
