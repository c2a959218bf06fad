"""The mean key of each anchor's class, without a matrix of who belongs with whom.

Rows are visited a block at a time, which the processor's caches hold: at a thousand rows, whole tensors would cost more
by the memory they ask for than by what is computed.

Shapes: A this rank's anchors, K all keys, C classes, D width, R rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from vlc_core.contrast.tiles import blocks

BLOCK = 128
"""Rows of a block: a quarter of a MiB at 512 wide."""


class Classes(NamedTuple):
    """Which rows belong together.

    Attributes:
        of_row: (K,) int64, the class of each row, 0…C-1.
        order: (K,) int64, the rows sorted by class.
        starts: (C,) int64, where each class begins among them.
        sizes: (C,) int64.
    """

    of_row: Tensor
    order: Tensor
    starts: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, labels_K: Tensor) -> Classes:
        """Classes of equal labels; each row with a negative label is one of its own."""
        numbers_K = torch.arange(labels_K.shape[0], device=labels_K.device)
        labels_K = torch.where(labels_K < 0, -1 - numbers_K, labels_K)
        sorted_K, order_K = labels_K.sort(stable=True)
        _, sorted_class_K, sizes_C = torch.unique_consecutive(sorted_K, return_inverse=True, return_counts=True)
        of_row_K = torch.empty_like(labels_K)
        of_row_K[order_K] = sorted_class_K
        return cls(of_row_K, order_K, sizes_C.cumsum(0) - sizes_C, sizes_C)

    @property
    def all_alone(self) -> bool:
        """Whether no two rows belong together."""
        return self.starts.shape[0] == self.order.shape[0]

    def means(self, x_KD: Tensor) -> Tensor:
        """The mean of each class's rows, (C, D)."""
        return embedding_bag(self.order, x_KD, self.starts, mode="mean")

    def weighted_means(self, x_AD: Tensor, weight_A: Tensor, first: int) -> Tensor:
        """Σ weight · row of each class, over rows ``first``… of all, divided by the size of the class: (C, D)."""
        order_A, starts_C = self.order, self.starts
        if x_AD.shape[0] < order_A.shape[0]:
            here_K = (order_A >= first) & (order_A < first + x_AD.shape[0])
            order_A, starts_C = order_A[here_K] - first, (here_K.cumsum(0) - here_K.long())[starts_C]
        sums_CD = embedding_bag(order_A, x_AD, starts_C, mode="sum", per_sample_weights=weight_A[order_A])
        return sums_CD.div_(self.sizes[:, None])


@dataclass(frozen=True, slots=True)
class ToMeans:
    """anchorᵢ · (its own key − the mean key of its class), and its gradients.

    Attributes:
        anchors: (A, D).
        keys: (K, D); the own key of anchor i is number ``first`` + i.
        first: Its number.
        classes: Of the keys.
        means: (C, D), in the type of all results.
    """

    anchors: Tensor
    keys: Tensor
    first: int
    classes: Classes
    means: Tensor

    def distances(self) -> Tensor:
        """The products, (A,)."""
        distance_A, scratch_RD = self.means.new_empty(self.anchors.shape[0]), self._scratch()
        for rows in blocks(self.anchors.shape[0], BLOCK):
            distance_A[rows] = self._apart(rows, scratch_RD).mul_(self.anchors[rows]).sum(dim=1)
        return distance_A

    def add_to_anchors(self, to_anchors_AD: Tensor, gradient_A: Tensor) -> None:
        """Adds their gradient with respect to the anchors; ``gradient_A`` comes in for them."""
        scratch_RD = self._scratch()
        for rows in blocks(self.anchors.shape[0], BLOCK):
            to_anchors_AD[rows].addcmul_(self._apart(rows, scratch_RD), gradient_A[rows, None])

    def add_to_keys(self, to_keys_KD: Tensor, gradient_A: Tensor) -> None:
        """Adds their gradient with respect to the keys.

        For each key: what its own anchor says, less the mean of that over its class. Both are rounded alike, so that
        they cancel to zero for a key that is alone.
        """
        anchors_AD, of_row = self.anchors.to(to_keys_KD.dtype), self.classes.of_row
        count, end = anchors_AD.shape[0], self.first + anchors_AD.shape[0]
        if count == 0:
            return
        means_CD = self.classes.weighted_means(anchors_AD, gradient_A, self.first)
        scratch_RD, change_RD = self._scratch(), self._scratch()
        for rows in blocks(count, BLOCK):
            own = _moved(rows, self.first)
            own_RD = torch.mul(anchors_AD[rows], gradient_A[rows, None], out=_rows(change_RD, rows))
            to_keys_KD[own].add_(own_RD.sub_(_select(means_CD, of_row[own], scratch_RD)))
        for begin, size in ((0, self.first), (end, to_keys_KD.shape[0] - end)):
            for rows in blocks(size, BLOCK):
                others = _moved(rows, begin)
                to_keys_KD[others].sub_(_select(means_CD, of_row[others], scratch_RD))

    def _apart(self, rows: slice, scratch_RD: Tensor) -> Tensor:
        """Own key − mean key of its class, (R, D), in ``scratch_RD``."""
        own = _moved(rows, self.first)
        mean_RD = _select(self.means, self.classes.of_row[own], scratch_RD)
        return torch.sub(self.keys[own], mean_RD, out=mean_RD)

    def _scratch(self) -> Tensor:
        """Memory for a block, asked for once: the system gives it zeroed, page by page, each time."""
        return self.means.new_empty(BLOCK, self.means.shape[1])


def _moved(rows: slice, by: int) -> slice:
    return slice(rows.start + by, rows.stop + by)


def _rows(scratch_RD: Tensor, rows: slice) -> Tensor:
    return scratch_RD[: rows.stop - rows.start]


def _select(x_CD: Tensor, row_R: Tensor, scratch_RD: Tensor) -> Tensor:
    return torch.index_select(x_CD, 0, row_R, out=scratch_RD[: row_R.shape[0]])
