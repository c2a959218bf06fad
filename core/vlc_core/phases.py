"""What a forward call of the pretrainer is for, what it is given and what it gives.

Shapes: B samples of this rank, D embedding width, T terms.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from torch import Tensor

from vlc_core.model.towers import Features


class Phase(Enum):
    """What a forward call is for."""

    TRAIN = "train"
    EMBED = "embed"
    CONTRAST = "contrast"
    REPLAY = "replay"
    IMAGE = "image"
    TEXT = "text"
    SCALE = "scale"
    JUDGE = "judge"


class Moment(NamedTuple):
    """When in the run a step happens, and where its dropout comes from.

    Attributes:
        progress: The share of the run that is done, 0…1.
        draw: Seeds torch's generators before the features are computed, and with the objective's number added before
            each objective: a function of seed, step, rank and micro-batch, so that nothing of a generator's state
            need be kept to replay or resume a step.
        epoch: How often the data has been seen.
    """

    progress: float
    draw: int
    epoch: float = 0.0


class Losses(NamedTuple):
    """What a step in one piece gives.

    Attributes:
        loss: This rank's share, a scalar to be differentiated.
        totals: The terms' sums and counts (T, 2) over all ranks.
        scale: The scale 1/τ that was used, (1,).
    """

    loss: Tensor
    totals: Tensor
    scale: Tensor


class Embedded(NamedTuple):
    """Features of a micro-batch without gradient, by name, and the tally (T, 2) of its micro-scope terms."""

    features: dict[str, Features]
    tally: Tensor


class Pull(NamedTuple):
    """What the batch-scope objectives pull at.

    Attributes:
        features: Gradients of the loss with respect to the features of each name; None where there is none.
        scale: The scale 1/τ that was used, (1,).
        scale_pull: The gradient with respect to it, (1,).
        totals: The terms' sums and counts (T, 2) over all ranks and micro-batches.
    """

    features: dict[str, tuple[Tensor | None, ...]]
    scale: Tensor
    scale_pull: Tensor
    totals: Tensor


class Fresh(NamedTuple):
    """What a step leaves for the queues, of this rank: features (B, D) of the twins, labels and groups (B,)."""

    image: Tensor
    text: Tensor
    labels: Tensor
    groups: Tensor
