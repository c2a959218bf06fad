"""What an objective says its anchors should match, each in one call.

Every function returns one value per anchor of this rank, not yet averaged.
Shapes: B this rank's pairs, G those of all ranks, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vlc_core.contrast.op import streaming_logsumexp
from vlc_core.distributed import first_row, row_counts
from vlc_core.distributed import gather as gather_ranks


def pair_losses(
    left_BD: Tensor, right_BD: Tensor, scale: Tensor, *, gather: bool = False
) -> tuple[Tensor, Tensor]:
    """Cross entropies of matching row i of one side with row i of the other: left to right, and right to left.

    Args:
        left_BD: (B, D), rows of unit length.
        right_BD: (B, D), rows of unit length.
        scale: What similarities are multiplied with, a scalar or of shape (1,).
        gather: Take the keys from all ranks.

    Returns:
        Two (B,) tensors: of left anchors over right keys, and of right anchors over left keys.
    """
    counts = row_counts(left_BD) if gather else [left_BD.shape[0]]
    first = first_row(counts) if gather else 0
    own_B = torch.arange(first, first + left_BD.shape[0], device=left_BD.device)
    all_G = torch.arange(sum(counts), device=left_BD.device)
    wide = torch.promote_types(left_BD.dtype, torch.float32)
    positive_B = (left_BD.to(wide) * right_BD.to(wide)).sum(dim=1) * scale
    losses = []
    for anchors, keys in ((left_BD, right_BD), (right_BD, left_BD)):
        keys_GD = gather_ranks(keys, counts=counts) if gather else keys
        others_B = streaming_logsumexp(anchors, keys_GD, scale, exclude=(own_B, all_G))
        losses.append(softplus(others_B - positive_B, threshold=40.0))  # type: ignore[operator]
    return losses[0], losses[1]
