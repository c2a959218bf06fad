"""AdamW, with decay where decay belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn


def parameter_groups(
    module: nn.Module,
    weight_decay: float,
    scales: Mapping[str, float] = {},
) -> list[dict[str, Any]]:
    """What is trained, grouped: matrices decay; biases, gains of norms and scalars do not.

    A decayed gain or bias is pulled towards zero without making the function any simpler, and a decayed logit scale
    undoes what it learns; all published recipes of this family leave them out.

    Args:
        module: Its parameters that require a gradient.
        weight_decay: Of matrices.
        scales: By the parameter's name, what the learning rate is multiplied by where it is not 1. Each value makes
            groups of its own, which say it as ``lr_scale``.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scales.get(name, 1.0), parameter.dim() >= 2), []).append(parameter)
    return [
        {"params": groups[scale, decays], "weight_decay": weight_decay if decays else 0.0, "lr_scale": scale}
        for scale, decays in sorted(groups, reverse=True)
    ]


def adamw(groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> torch.optim.AdamW:
    """Torch's fused AdamW: one pass over memory, on the CPU too."""
    return torch.optim.AdamW(list(groups), lr=lr, betas=betas, eps=eps, fused=True)


def set_rate(optimizer: Any, lr: float) -> None:
    """Sets the learning rate of every group: ``lr`` times its ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
