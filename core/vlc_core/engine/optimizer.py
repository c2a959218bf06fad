"""AdamW, with decay where decay belongs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices decay; biases, gains of norms and scalars do not.

    A decayed gain or bias is pulled towards zero without making the function any simpler, and a decayed logit scale
    undoes what it learns; all published recipes of this family leave them out.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def adamw(groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> torch.optim.AdamW:
    """Torch's fused AdamW: one pass over memory, on the CPU too."""
    return torch.optim.AdamW(list(groups), lr=lr, betas=betas, eps=eps, fused=True)


def set_rate(optimizer: Any, lr: float) -> None:
    """Sets the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
