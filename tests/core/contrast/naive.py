"""Float64 references that hold the whole matrix, and leave differentiation to torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def rows(count: int, width: int, seed: int, *, near: Tensor | None = None, noise: float = 1.0) -> Tensor:
    """Float64 rows of unit length; close to those of ``near``, the closer the smaller ``noise``."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, width, generator=generator, dtype=torch.float64)
    return normalize(drawn if near is None else near + noise * normalize(drawn, dim=1), dim=1)


def logsumexp(logits: Tensor) -> Tensor:
    """Along dim 1; −inf without gradient for a row of −inf."""
    kept = [torch.logsumexp(row, 0) if (row > -torch.inf).any() else row.detach().amax() for row in logits]
    return torch.stack(kept)


def streaming_logsumexp(
    anchors: Tensor, keys: Tensor, scale: Tensor, exclude: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    logits = scale * anchors.double() @ keys.double().T
    if exclude is not None:
        logits = logits.masked_fill(exclude[0][:, None] == exclude[1][None, :], -torch.inf)
    return logsumexp(logits), logsumexp(logits.T)


def cross_entropies(anchors: Tensor, keys: Tensor, scale: Tensor, target: Tensor) -> Tensor:
    """−Σⱼ targetᵢⱼ log softmaxⱼ(scale · anchorᵢ · keyⱼ), (A,)."""
    return -(target * torch.log_softmax(scale * anchors @ keys.T, dim=1)).sum(dim=1)


def same_label_target(labels: Tensor) -> Tensor:
    same = (labels[:, None] == labels[None, :]) & (labels[:, None] >= 0)
    same |= torch.eye(labels.shape[0], dtype=torch.bool)
    return same.double() / same.sum(dim=1, keepdim=True)


def value_and_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """The value and its gradients with respect to all ``inputs``, each in float64."""
    leaves = [x.detach().clone().to(dtype).requires_grad_() for x in inputs]
    value = function(*leaves)
    return [value.detach().double(), *(g.double() for g in torch.autograd.grad(value, leaves))]


def worst_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The greatest relative error, each tensor's measured against its own greatest entry."""
    errors = [
        ((f - e).abs().max() / e.abs().max().clamp_min(1e-300)).item() for f, e in zip(found, expected, strict=True)
    ]
    return max(errors)


def own_key_entropies(anchors: Tensor, keys: Tensor, scale: Tensor, own: Tensor) -> Tensor:
    """Cross entropies of matching key ``own[i]``, (A,), written so that they do not cancel for separated pairs."""
    logits = scale * anchors @ keys.T
    positive = logits.gather(1, own[:, None])[:, 0]
    others = logits.scatter(1, own[:, None], -torch.inf)
    return torch.logaddexp(torch.zeros_like(positive), logsumexp(others) - positive)
