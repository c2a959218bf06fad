"""A queue of momentum features: keys of earlier batches that cost no forward pass.

He et al., MoCo, arXiv 1911.05722.

Shapes: N features, K places, D width.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

NO_GROUP = torch.iinfo(torch.int64).min
"""The group of a feature that was given none; no sample has it."""
UNLABELLED = -1


@final
class FeatureQueue(nn.Module):
    """A ring of the last ``size`` features, filled from empty.

    Args:
        size: K; 0 keeps none.
        dim: D.

    Raises:
        ValueError: ``size`` is negative, or ``dim`` is not positive.
    """

    store: Tensor
    store_labels: Tensor
    store_groups: Tensor
    pushed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 0 or dim < 1:
            raise ValueError(f"a queue has a size of at least 0 and a width of at least 1; got {size} and {dim}")
        self.size, self.dim = size, dim
        self.register_buffer("store", torch.zeros(size, dim))
        self.register_buffer("store_labels", torch.full((size,), UNLABELLED))
        self.register_buffer("store_groups", torch.full((size,), NO_GROUP))
        # How many have ever been pushed: both the fill and the place of the next one follow from it. A tensor, so that
        # it is part of every checkpoint, on the CPU's side of the model as well as on a device.
        self.register_buffer("pushed", torch.zeros(1, dtype=torch.int64))
        self._count: int | None = None

    def __len__(self) -> int:
        return min(self._pushed(), self.size)

    @property
    def features(self) -> Tensor:
        """(filled, D) float32, in no particular order; a view, which the next push changes."""
        return self.store[: len(self)]

    @property
    def labels(self) -> Tensor:
        """(filled,) int64, -1 where a feature has no label."""
        return self.store_labels[: len(self)]

    @property
    def groups(self) -> Tensor:
        """(filled,) int64, ``NO_GROUP`` where a feature has no group."""
        return self.store_groups[: len(self)]

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor | None = None, groups: Tensor | None = None) -> None:
        """Puts features in, in the places of the oldest; of more than ``size`` the last ones are kept.

        One that is not finite leaves in its place what was there: it would spoil every loss until it is pushed out.

        Args:
            features: (N, D), of any floating type.
            labels: (N,) int64.
            groups: (N,) int64, equal for features of the same image.

        Raises:
            ValueError: The shapes do not fit.
        """
        count = features.shape[0]
        if features.shape != (count, self.dim):
            raise ValueError(f"the queue takes features (N, {self.dim}); got {tuple(features.shape)}")
        for name, given in (("labels", labels), ("groups", groups)):
            if given is not None and given.shape != (count,):
                raise ValueError(f"{count} features have ({count},) {name}; got {tuple(given.shape)}")
        kept = min(count, self.size)
        first = self._pushed() + count - kept
        sound = features.isfinite().all(dim=1)
        labels = self.store_labels.new_full((count,), UNLABELLED) if labels is None else labels
        groups = self.store_groups.new_full((count,), NO_GROUP) if groups is None else groups
        for store, given in ((self.store, features), (self.store_labels, labels), (self.store_groups, groups)):
            self._put(store, given, sound, first, kept)
        self._count = self._pushed() + count
        self.pushed.fill_(self._count)

    def _put(self, store: Tensor, given: Tensor, sound: Tensor, first: int, kept: int) -> None:
        """Writes what is sound of the last ``kept`` of ``given`` from place ``first`` on, around the end."""
        if kept == 0:
            return
        start = first % self.size
        before = min(kept, self.size - start)
        for rows, taken in (
            (slice(start, start + before), slice(0, before)),
            (slice(0, kept - before), slice(before, kept)),
        ):
            new, ok = (x[len(x) - kept :][taken] for x in (given.detach().to(store.dtype), sound))
            store[rows] = torch.where(ok.view(-1, *(1,) * (store.dim() - 1)), new, store[rows])

    def _pushed(self) -> int:
        """Read from the buffer once: reading it from a GPU in every step would make the host wait."""
        if self._count is None:
            self._count = int(self.pushed)
        return self._count

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._count = None
