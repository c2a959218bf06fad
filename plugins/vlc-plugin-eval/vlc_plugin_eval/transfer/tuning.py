"""Fine-tuning in this process: the whole image encoder with a linear head, on a thousand examples.

It follows the released code of VTAB (Zhai et al., arXiv 1910.04867): SGD with momentum 0.9 and no weight decay, a
linear rise over the first 8 % of the steps, a tenth of the learning rate after 30, 60 and 90 % of them.

Shapes: N examples, B batch, C classes, W width of the features, S side in pixels.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlc_core.inference.image_set import stack_pixels
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.order import Purpose, rng, shuffled
from vlc_core.loading.picture import Picture
from vlc_core.loading.vectors import as_picture
from vlc_core.model.towers import ImageTower
from vlc_core.progress import Tracker
from vlc_plugin_eval.labelled import Features
from vlc_plugin_eval.logistic import Ints
from vlc_plugin_eval.transfer.draw import Draw

RISE, DECAYS, FACTOR, MOMENTUM = 0.08, (0.3, 0.6, 0.9), 0.1, 0.9


class Setting(NamedTuple):
    """What is swept: the peak learning rate and the number of steps."""

    lr: float
    steps: int


@dataclass(frozen=True, slots=True)
class Tuning:
    """What all settings share.

    Attributes:
        optimizer: ``sgd`` with momentum, or ``adamw`` (betas 0.9 and 0.999); neither decays weights.
        batch_size: B, at most the number of examples.
        transform: Cuts a view of each example, a new one each time; None shows each as evaluation does.
    """

    optimizer: Literal["sgd", "adamw"]
    batch_size: int
    transform: Transform | None


@final
class Classifier(nn.Module):
    """A copy of an image tower with a linear head.

    Args:
        tower: Is copied, and then trained whole.
        weight_CW: Where the head's weights start; its bias starts at zero.
        features: ``summary``, what the encoder gives, or ``embed``, its projection to the shared space.
    """

    def __init__(self, tower: ImageTower, weight_CW: Tensor, features: Features) -> None:
        super().__init__()
        self.tower = copy.deepcopy(tower).requires_grad_()
        self.features = features
        self.head = nn.Linear(weight_CW.shape[1], weight_CW.shape[0], device=weight_CW.device)
        with torch.no_grad():
            self.head.weight.copy_(weight_CW)
            self.head.bias.zero_()

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, C) of what the tower takes."""
        given = self.tower(pixels)
        logits: Tensor = self.head((given.summary if self.features == "summary" else given.embed).float())
        return logits


def rate(step: int, steps: int) -> float:
    """The learning rate of ``step``, counted from 0, as a share of the peak."""
    rise = round(RISE * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return FACTOR ** sum(step >= share * steps for share in DECAYS)


def fine_tune(
    model: Classifier, drawn: Draw, rows: Ints, setting: Setting, tuning: Tuning, *, seed: int, size: int, what: str
) -> float:
    """Trains ``model`` on the ``rows`` of a draw; everything random follows from ``seed``.

    Args:
        model: Is changed.
        drawn: The examples.
        rows: Which of them to learn from.
        setting: How long, and at what rate.
        tuning: The rest.
        seed: Of the order, the views and dropout.
        size: S.
        what: What a bar says is being done.

    Returns:
        The last batch's loss; NaN where a loss was not finite, and training ended there.
    """
    device = model.head.weight.device
    optimizer = _optimizer(model, setting, tuning)
    batch = min(tuning.batch_size, len(rows))
    model.train()
    value = math.nan
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), Tracker(what) as tracker:
        torch.manual_seed(seed)
        for step in range(setting.steps):
            numbers = np.arange(step * batch, (step + 1) * batch)
            chosen = rows[shuffled(numbers, len(rows), seed)]
            pixels = _views(drawn, chosen, numbers, tuning.transform, seed=seed, size=size).to(device)
            loss = F.cross_entropy(model(pixels), torch.from_numpy(drawn.y[chosen]).to(device))
            value = loss.item()
            if not math.isfinite(value):
                return math.nan
            for group in optimizer.param_groups:
                group["lr"] = setting.lr * rate(step, setting.steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker(step + 1, setting.steps)
    return value


def _optimizer(model: nn.Module, setting: Setting, tuning: Tuning) -> torch.optim.Optimizer:
    if tuning.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=setting.lr, momentum=MOMENTUM)
    return torch.optim.AdamW(model.parameters(), lr=setting.lr, weight_decay=0.0)


def _views(drawn: Draw, rows: Ints, numbers: Ints, transform: Transform | None, *, seed: int, size: int) -> Tensor:
    """What the encoder takes of ``rows`` (B,); a view depends on its number in the course of training alone."""
    if transform is None or drawn.examples.vector_width is not None:
        return drawn.pixels[torch.from_numpy(rows)]
    views = []
    for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
        picture = Picture(as_picture(drawn.examples[row].image))
        views.append(transform(picture, size, rng(seed, number, Purpose.VIEW)))
    return stack_pixels(views, size)
