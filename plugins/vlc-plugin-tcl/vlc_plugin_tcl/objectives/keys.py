"""What the contrastive objectives compare with: the batch's momentum features, those of all ranks, and the queues.

Shapes: B samples of this rank, G of all ranks, D embedding width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vlc_core import distributed
from vlc_core.contrast import Queue, key_losses
from vlc_core.momentum import FeatureQueue
from vlc_core.step import Step

FalseNegatives = Literal["exclude", "keep"]


class BatchKeys(NamedTuple):
    """Momentum features of the whole batch.

    Attributes:
        own: (B,) int64, where this rank's samples are among them.
        image: (G, D).
        text: (G, D).
        groups: (G,) int64; None where pictures of one image are negatives of each other.
    """

    own: Tensor
    image: Tensor
    text: Tensor
    groups: Tensor | None

    @classmethod
    def of(cls, step: Step, false_negatives: FalseNegatives) -> BatchKeys:
        """Gathers them, without gradient."""
        image, text = step.momentum.image.embed.detach(), step.momentum.text.embed.detach()
        counts = distributed.row_counts(image)
        first = distributed.first_row(counts)
        own = torch.arange(first, first + len(step), device=image.device)
        image, text, groups = (distributed.gather(x, counts=counts) for x in (image, text, step.groups))
        return cls(own, image, text, groups if false_negatives == "exclude" else None)


def losses(
    step: Step,
    anchors_BD: Tensor,
    keys_GD: Tensor,
    queue: FeatureQueue,
    keys: BatchKeys,
    *,
    momentum: Tensor | None = None,
    alpha: float = 0.0,
) -> Tensor:
    """Each anchor's cross entropy over the batch's keys of one modality and their queue, (B,)."""
    exclude = None if keys.groups is None else (step.groups, keys.groups)
    queued = Queue(queue.features, None if keys.groups is None else queue.groups)
    return key_losses(
        anchors_BD, keys_GD, step.scale, own=keys.own, momentum=momentum, alpha=alpha, exclude=exclude, queue=queued
    )
