"""What anchors have to do with the mean keys of their classes, without a matrix of who belongs with whom.

Summed over a class, anchor · mean key is (Σ anchors) · (Σ keys) / size, so that two tables with a row for each class
are all that the loss and its gradients take from the labels.

Shapes: A this rank's anchors, K all keys, C classes, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from vlc_core.contrast.own import RowsOf


class Classes(NamedTuple):
    """Which keys belong together.

    Attributes:
        of_row: (K,) int64, the class of each row, 0…C-1; rows without a label share some.
        order: (K,) int64, the rows sorted by class.
        starts: (C,) int64, where each class begins among them.
        sizes: (C,) int64.
        several: (C,) bool, whether rows of the class belong together: they are several, and have a label.
    """

    of_row: Tensor
    order: Tensor
    starts: Tensor
    sizes: Tensor
    several: Tensor

    @classmethod
    def of(cls, labels_K: Tensor) -> Classes | None:
        """Classes of equal labels; None where no two rows belong together, as those with a negative label never do."""
        label_C, of_row_K, size_C = torch.unique(labels_K, return_inverse=True, return_counts=True)
        several_C = (size_C > 1).logical_and_(label_C >= 0)
        if not several_C.any():
            return None
        return cls(of_row_K, of_row_K.argsort(stable=True), size_C.cumsum(0) - size_C, size_C, several_C)

    def sums(self, x_AD: Tensor, first: int = 0) -> Tensor:
        """Over the rows of each class, (C, D); ``x_AD`` holds rows ``first``… of all."""
        order_A, starts_C = self.order, self.starts
        if x_AD.shape[0] < order_A.shape[0]:
            here_K = (order_A >= first) & (order_A < first + x_AD.shape[0])
            order_A, starts_C = order_A[here_K] - first, (here_K.cumsum(0) - here_K.long())[starts_C]
        return embedding_bag(order_A, x_AD, starts_C, mode="sum")


@dataclass(frozen=True, slots=True)
class ToMeans:
    """Σ over this rank's anchors of anchor · (own key − mean key of its class), and its gradients.

    An anchor that is alone in its class takes no part, so that its loss is to the bit what it is without labels. For
    the others nothing is lost by a difference of sums: with n keys in a class the loss of an anchor is at least ln n.

    Attributes:
        classes: Of the keys.
        shared: (A,), 1 for anchors in a class of several, 0 for those that are alone.
        keys: (C, D), the mean key of each class, zero where rows do not belong together.
        anchors: (C, D), the sum of this rank's anchors in each class by the size of the class; likewise.
        matched: Σ over the shared anchors of anchor · mean key, a scalar.
    """

    classes: Classes
    shared: Tensor
    keys: Tensor
    anchors: Tensor
    matched: Tensor

    @classmethod
    def of(cls, anchors_AD: Tensor, keys_KD: Tensor, classes: Classes, first: int) -> ToMeans:
        """For anchors and keys of the type that results should have; the own key of anchor i is ``first`` + i."""
        several_C = classes.several.to(keys_KD.dtype)
        share_C1 = (several_C / classes.sizes)[:, None]
        means_CD = classes.sums(keys_KD).mul_(share_C1)
        anchors_CD = classes.sums(anchors_AD, first)
        matched = torch.dot(anchors_CD.flatten(), means_CD.flatten())
        shared_A = several_C[classes.of_row[first : first + anchors_AD.shape[0]]]
        return cls(classes, shared_A, means_CD, anchors_CD.mul_(share_C1), matched)

    def distance(self, own_A: Tensor) -> Tensor:
        """The sum, a scalar; ``own_A`` has the products of anchors and own keys."""
        return torch.dot(own_A, self.shared) - self.matched

    def less(self, gradient: Tensor) -> tuple[RowsOf, RowsOf]:
        """What the mean keys take off the gradients with respect to the anchors of all ranks, and to the keys."""
        of_row = self.classes.of_row
        return RowsOf(self.keys * gradient, of_row), RowsOf(self.anchors * gradient, of_row)
