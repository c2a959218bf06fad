"""The sampler that reads everything once an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, final

import numpy as np
from pydantic import Field

from vlc_core import Sampler, Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import Purpose, shuffled


@final
class Shuffle(Sampler):
    """All sources laid end to end and shuffled anew each epoch; every sample comes once an epoch."""

    def __init__(self, sources: Sequence[Source], seed: int, *, block: Annotated[int, Field(gt=0)] = 1) -> None:
        """Takes the options.

        Args:
            sources: Of the recipe.
            seed: Of the run.
            block: How many neighbours come together, in their order: 2 where a source holds a true and a false
                statement side by side, which a batch then compares. What is left over by whole blocks ends an epoch.
        """
        super().__init__(sources, seed)
        self.block = min(block, self.epoch)

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        epochs, within = np.divmod(numbers, self.epoch)
        blocks, place = np.divmod(within, self.block)
        whole = self.epoch // self.block
        in_turn = np.minimum(blocks, whole - 1)
        drawn = shuffled(epochs * whole + in_turn, whole, self.seed, Purpose.ORDER) * self.block + place
        places = np.where(blocks < whole, drawn, within)
        ends = np.cumsum(self.sizes)
        sources = np.searchsorted(ends, places, side="right")
        return sources, places - (ends - self.sizes)[sources]
