"""How often a labelled sample meets another of its class in a batch.

Shapes: B samples of a batch.
"""

from __future__ import annotations

import numpy as np

from vlc_core.assemble import Data
from vlc_core.batch import UNLABELLED

BATCHES = 8
"""The first ones of the run are looked at."""


def share_alone(data: Data, batch_size: int) -> float | None:
    """The share of labelled samples without another of their class in their batch.

    None where no label is known ahead: without reading the samples.
    """
    labels = [source.labels() for source in data.sources]
    if all(one is None for one in labels):
        return None
    alone = labelled = 0
    for batch in range(BATCHES):
        source_B, index_B = data.sampler.draw(np.arange(batch_size, dtype=np.int64) + batch * batch_size)
        label_B = np.full(batch_size, UNLABELLED, np.int64)
        for number, known in enumerate(labels):
            if known is not None:
                here = source_B == number
                label_B[here] = known[index_B[here]]
        _, counts = np.unique(label_B[label_B != UNLABELLED], return_counts=True)
        alone, labelled = alone + int((counts == 1).sum()), labelled + int(counts.sum())
    return alone / labelled if labelled else None
