"""AdamW and LAMB, with decay where decay belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vlc_core.engine.lamb import Lamb

if TYPE_CHECKING:
    from vlc_core.recipe.schema import Optimizer


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
            groups of its own, which say it as ``lr_scale``. ``adapts`` is for LAMB: whether the group is of matrices.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scales.get(name, 1.0), parameter.dim() >= 2), []).append(parameter)
    return [
        {
            "params": groups[scale, matrices],
            "weight_decay": weight_decay if matrices else 0.0,
            "lr_scale": scale,
            "adapts": matrices,
        }
        for scale, matrices in sorted(groups, reverse=True)
    ]


def make_optimizer(groups: Iterable[dict[str, Any]], said: Optimizer) -> torch.optim.Optimizer:
    """The one that a recipe asks for."""
    make = lamb if said.use == "lamb" else adamw
    return make(groups, lr=said.lr, betas=said.betas, eps=said.eps)


def lamb(groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> Lamb:
    """LAMB, for large batches: each matrix takes steps in proportion to its own length."""
    return Lamb(list(groups), lr=lr, betas=betas, eps=eps)


def adamw(groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> torch.optim.AdamW:
    """Torch's fused AdamW: one pass over memory, on the CPU too."""
    return torch.optim.AdamW(list(groups), lr=lr, betas=betas, eps=eps, fused=True)


def set_rate(optimizer: Any, lr: float) -> None:
    """Sets the learning rate of every group: ``lr`` times its ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
