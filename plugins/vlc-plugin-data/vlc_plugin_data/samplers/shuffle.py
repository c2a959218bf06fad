"""The sampler that reads everything once an epoch."""

from __future__ import annotations

from typing import final

import numpy as np

from vlc_core import Sampler
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import Purpose, shuffled


@final
class Shuffle(Sampler):
    """All sources laid end to end and shuffled anew each epoch; every sample comes once an epoch."""

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        places = shuffled(numbers, self.epoch, self.seed, Purpose.ORDER)
        ends = np.cumsum(self.sizes)
        sources = np.searchsorted(ends, places, side="right")
        return sources, places - (ends - self.sizes)[sources]
