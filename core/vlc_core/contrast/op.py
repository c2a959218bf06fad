"""The one primitive under every contrastive loss: log-sum-exp over scaled similarities.

Shapes: A anchors, K keys, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

Groups = tuple[Tensor, Tensor]


def streaming_logsumexp(
    anchors: Tensor, keys: Tensor, scale: Tensor | float, *, both: bool = False, exclude: Groups | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """log Σⱼ exp(scale · anchorᵢ · keyⱼ) for each anchor, and with ``both`` also the same over anchors for each key."""
    wide = torch.promote_types(anchors.dtype, torch.float32)
    logits_AK = anchors.to(wide) @ keys.to(wide).T * scale
    if exclude is not None:
        logits_AK = logits_AK.masked_fill(exclude[0][:, None] == exclude[1][None, :], -torch.inf)
    rows_A = _logsumexp(logits_AK)
    return (rows_A, _logsumexp(logits_AK.T)) if both else rows_A


def _logsumexp(logits: Tensor) -> Tensor:
    """Along dim 1, with −inf and no gradient for a row without keys."""
    empty = (logits == -torch.inf).all(dim=1)
    return torch.logsumexp(logits.masked_fill(empty[:, None], 0.0), dim=1).masked_fill(empty, -torch.inf)
