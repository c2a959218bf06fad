"""Keys that belong to this rank alone: momentum features and queues, with hard or softened targets.

The form of the loss is that of :mod:`vlc_core.contrast.targets`.

Shapes: B this rank's anchors, K keys, Q queued keys, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core.contrast.op import Attended, streaming_logsumexp, streaming_mean
from vlc_core.contrast.targets import dot, softplus_exact, wide
from vlc_core.contrast.tiles import Groups


class Queue(NamedTuple):
    """Keys that belong to no anchor: features of earlier batches.

    Attributes:
        keys: (Q, D), rows of unit length, without gradient.
        groups: (Q,) int64: those of an anchor's group count for nothing to it. None where every one counts.
    """

    keys: Tensor
    groups: Tensor | None = None


def key_losses(
    anchors_BD: Tensor,
    keys_KD: Tensor,
    scale: Tensor | float,
    *,
    own: Tensor,
    momentum: Tensor | None = None,
    alpha: Tensor | float = 0.0,
    exclude: Groups | None = None,
    queue: Queue | None = None,
) -> Tensor:
    """Each anchor matches one of the keys, or in part what its momentum twin attends to among them.

    The target of anchor i is (1 − alpha) · [key own[i]] + alpha · softmaxⱼ(scale · momentumᵢ · keyⱼ), the
    latter without gradient, j over the keys and the queue. The queue is read where it lies.

    Args:
        anchors_BD: (B, D), rows of unit length.
        keys_KD: (K, D), for instance the batch's momentum features.
        scale: What similarities are multiplied with.
        own: (B,) int64, where each anchor's own key is.
        momentum: (B, D), the momentum anchors; None for a hard target.
        alpha: The weight of the soft target.
        exclude: Groups of the anchors (B,) and of the keys (K,), int64: keys of the anchor's group other than
            its own one count for nothing. An anchor's own key must be of its group.
        queue: More keys.

    Returns:
        (B,).
    """
    groups = (own, torch.arange(keys_KD.shape[0], device=own.device)) if exclude is None else exclude
    pools: list[tuple[Tensor, Groups | None]] = [(keys_KD, groups)]
    if queue is not None and queue.keys.shape[0]:
        pools.append((queue.keys, None if queue.groups is None else (groups[0], queue.groups)))
    own_BD = wide(keys_KD[own])
    others_B = joined_logsums([streaming_logsumexp(anchors_BD, keys, scale, exclude=g) for keys, g in pools])
    losses_B = softplus_exact(others_B - dot(anchors_BD, own_BD) * scale)
    if momentum is None:
        return losses_B
    with torch.no_grad():
        attended = _attended(momentum, pools, scale)
        elsewhere_B = torch.sigmoid(attended.logsums - dot(momentum, own_BD) * scale)
    drift_B = dot(anchors_BD, elsewhere_B[:, None] * (own_BD - attended.means))
    return losses_B + alpha * scale * drift_B


def joined_logsums(parts: Sequence[Tensor]) -> Tensor:
    """log Σ exp over parts of equal shape; −∞ with zero gradient where every part is."""
    if len(parts) == 1:
        return parts[0]
    stacked = torch.stack(list(parts))
    top = stacked.detach().amax(dim=0)
    top = torch.where(top.isfinite(), top, 0.0)
    total = (stacked - top).exp().sum(dim=0)
    # Where nothing was summed the logarithm has no slope: there it is taken of 1 and not used.
    return torch.where(total > 0, top + torch.where(total > 0, total, 1.0).log(), -torch.inf)


def _attended(momentum_BD: Tensor, pools: Sequence[tuple[Tensor, Groups | None]], scale: Tensor | float) -> Attended:
    """:func:`streaming_mean` over several pools of keys."""
    parts = [streaming_mean(momentum_BD, keys, scale, exclude=groups) for keys, groups in pools]
    logsums_B = joined_logsums([part.logsums for part in parts])
    means_BD = torch.zeros_like(parts[0].means)
    for part in parts:
        weight_B = torch.where(part.logsums.isfinite(), (part.logsums - logsums_B).exp(), 0.0)
        means_BD += weight_B[:, None] * part.means
    return Attended(means_BD, logsums_B)
