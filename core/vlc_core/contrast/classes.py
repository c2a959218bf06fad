"""The mean key of each anchor's class, without a matrix of who belongs with whom.

Shapes: B this rank's anchors, G all keys, C classes, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag


class Classes(NamedTuple):
    """Which rows belong together.

    Attributes:
        of_row: (G,) int64, the class of each row, 0…C-1.
        order: (G,) int64, the rows sorted by class.
        starts: (C,) int64, where each class begins among them.
        sizes: (C,) int64.
    """

    of_row: Tensor
    order: Tensor
    starts: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, labels_G: Tensor) -> Classes:
        """Classes of equal labels; each row with a negative label is one of its own."""
        numbers_G = torch.arange(labels_G.shape[0], device=labels_G.device)
        labels_G = torch.where(labels_G < 0, -1 - numbers_G, labels_G)
        sorted_G, order_G = labels_G.sort(stable=True)
        _, sorted_class_G, sizes_C = torch.unique_consecutive(sorted_G, return_inverse=True, return_counts=True)
        of_row_G = torch.empty_like(labels_G)
        of_row_G[order_G] = sorted_class_G
        return cls(of_row_G, order_G, sizes_C.cumsum(0) - sizes_C, sizes_C)

    @property
    def all_alone(self) -> bool:
        """Whether no two rows belong together."""
        return self.starts.shape[0] == self.order.shape[0]

    def means(self, x_GD: Tensor) -> Tensor:
        """The mean of each class's rows, (C, D)."""
        if self.starts.shape[0] == 0:
            return x_GD.new_zeros(0, x_GD.shape[1])
        return embedding_bag(self.order, x_GD, self.starts, mode="mean")


def distances_to_class_means(anchors_BD: Tensor, keys_GD: Tensor, own_B: Tensor, labels_G: Tensor) -> Tensor:
    """anchorᵢ · (its own key − the mean key of its class), (B,), differentiable in anchors and keys.

    Args:
        anchors_BD: Anchors.
        keys_GD: All keys, of the anchors' type.
        own_B: Int64, which key is each anchor's own; no two have the same.
        labels_G: Int64, the labels of the keys.
    """
    classes = Classes.of(labels_G)
    if classes.all_alone:
        return anchors_BD.new_zeros(anchors_BD.shape[0])
    distances_B: Tensor = _Distances.apply(anchors_BD, keys_GD, own_B, *classes)
    return distances_B


class _Distances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchors_BD: Tensor, keys_GD: Tensor, own_B: Tensor, *classes: Tensor) -> Tensor:
        kinds = Classes(*classes)
        apart_BD = keys_GD.index_select(0, own_B)
        apart_BD -= kinds.means(keys_GD).index_select(0, kinds.of_row.index_select(0, own_B))
        ctx.save_for_backward(anchors_BD, apart_BD, own_B, *classes)
        return (anchors_BD * apart_BD).sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B: Tensor) -> tuple[Tensor | None, ...]:
        anchors_BD, apart_BD, own_B, *classes = ctx.saved_tensors
        kinds = Classes(*classes)
        to_own_BD = anchors_BD * gradient_B[:, None]
        to_keys_GD = None
        if ctx.needs_input_grad[1]:
            to_keys_GD = _at(to_own_BD, own_B, kinds.order.shape[0])
            to_keys_GD = to_keys_GD - kinds.means(to_keys_GD).index_select(0, kinds.of_row)
        return apart_BD * gradient_B[:, None], to_keys_GD, None, *(None for _ in classes)


def _at(x_BD: Tensor, rows_B: Tensor, total: int) -> Tensor:
    """``x_BD`` at its rows among ``total``, zero elsewhere."""
    if x_BD.shape[0] == total:  # this rank has all rows, in their order
        return x_BD
    return x_BD.new_zeros(total, x_BD.shape[1]).index_copy_(0, rows_B, x_BD)
