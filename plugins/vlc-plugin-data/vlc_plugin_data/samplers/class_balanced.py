"""The sampler that draws every class equally often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from vlc_core import Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import Purpose, shuffled, shuffled_each
from vlc_plugin_data.samplers.mixed import Mixed
from vlc_plugin_data.samplers.shares import complete


class _Classes(NamedTuple):
    """The samples of a source by class; classes without samples are left out.

    Attributes:
        indices: (N,) samples, those of one class together, in four bytes each where that is enough.
        starts: (C + 1,) where each class begins in ``indices``, and the end.
    """

    indices: NDArray[np.integer]
    starts: Int64Array


@final
class ClassBalanced(Mixed):
    """Every class comes once in each run of as many samples as there are classes; small classes are repeated.

    Within a class samples are shuffled, anew each time. Samples without a label count as one more class of their
    source. Sources share a batch in the ratio of their numbers of classes, unless they name a ``share``; those without
    labels must. An epoch lasts until the largest class has come whole. The samples of labelled sources are kept in
    memory in the order of their classes, in 4 bytes each.
    """

    reads_shares = True

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        """Sorts the samples by class.

        Raises:
            ValueError: A source has no labels and names no share, or cannot tell its labels ahead.
        """
        self._classes = [_by_class(source) for source in sources]
        for source, classes in zip(sources, self._classes, strict=True):
            if classes is None and source.share is None:
                raise ValueError(f"the source {source.name!r} has no labels: name its part of the batch by `share`")
        numbers = [0 if classes is None else len(classes.starts) - 1 for classes in self._classes]
        lengths = [
            len(source.dataset) if classes is None else (len(classes.starts) - 1) * int(np.diff(classes.starts).max())
            for source, classes in zip(sources, self._classes, strict=True)
        ]
        super().__init__(sources, seed, complete([source.share for source in sources], numbers), lengths)

    def order(self, source: int, positions: Int64Array) -> Int64Array:
        classes = self._classes[source]
        if classes is None:
            return self.reshuffled(source, positions)
        count = len(classes.starts) - 1
        chosen = shuffled(positions, count, self.seed, Purpose.ORDER, source, 0)
        starts, sizes = classes.starts[chosen], np.diff(classes.starts)[chosen]
        places = shuffled_each(positions // count, sizes, chosen, self.seed, Purpose.ORDER, source, 1)
        indices: Int64Array = classes.indices[starts + places].astype(np.int64)
        return indices


def _by_class(source: Source) -> _Classes | None:
    if source.dataset.classes is None:
        return None
    labels = source.dataset.labels()
    if labels is None:
        raise ValueError(
            f"the source {source.name!r} cannot tell its labels without reading every sample: use another sampler, or "
            f"list its samples in a table and read that with the dataset manifest"
        )
    small = np.int32 if len(labels) <= np.iinfo(np.int32).max else np.int64
    indices: NDArray[np.integer] = np.argsort(labels, kind="stable").astype(small)
    starts = np.flatnonzero(np.diff(labels[indices], prepend=labels.min() - 1))
    return _Classes(indices, np.append(starts, len(labels)).astype(np.int64))
