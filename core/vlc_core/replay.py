"""What a step in micro-batches needs beside the towers: features put together, their gradients, statistics held still.

Shapes: B samples of this rank, b of a micro-batch, D embedding width, L tokens, W encoder width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vlc_core.model.towers import Features


def joined(parts: Iterable[Features]) -> Features:
    """Micro-batches' features one under the other, tokens padded to the longest."""
    columns = [[x for x in column if x is not None] for column in zip(*parts, strict=True)]
    return Features(*(_stack(column) if column else None for column in columns))  # type: ignore[arg-type]


def leaf(features: Features) -> Features:
    """Features cut off from what made them; what can have a gradient asks for one."""
    return Features(
        *(x.detach().requires_grad_() if x is not None and x.is_floating_point() else x for x in features)  # type: ignore[arg-type]
    )


def without_parts(features: Features) -> Features:
    """Features of whole items alone: tokens and local embeddings take most of the memory."""
    return Features(features.embed, features.summary)


def gradients(loss: Tensor, of: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradient of ``loss`` with respect to each tensor of ``of``; None where it does not depend on it."""
    if not loss.requires_grad:
        return (None,) * len(of)
    with torch.autocast(loss.device.type, enabled=False):
        return torch.autograd.grad(loss, of, allow_unused=True)


def sum_of_products(
    features: Mapping[str, Features], pulls: Mapping[str, tuple[Tensor | None, ...]], part: slice
) -> Tensor:
    """Σ feature · gradient over everything that has one: its gradient is the chain rule's next factor.

    Args:
        features: Of a micro-batch, tensors (b, …), by name.
        pulls: The gradients of the whole batch, tensors (B, …), tokens perhaps longer than the micro-batch's.
        part: The rows of the micro-batch.
    """
    products = [
        (x * (pull[part, : x.shape[1]] if x.dim() == 3 else pull[part])).sum(dtype=torch.float32)
        for name, one in features.items()
        for x, pull in zip(one, pulls[name], strict=True)
        if x is not None and pull is not None
    ]
    return torch.stack(products).sum() if products else torch.zeros(())


def norms_with_statistics(module: nn.Module) -> list[_BatchNorm]:
    """The modules that keep running statistics of their batches."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


class Statistics:
    """Running statistics as they were before a step, for a step that is skipped.

    Args:
        norms: What keeps them.
    """

    def __init__(self, norms: Sequence[_BatchNorm]) -> None:
        self._norms = norms
        self._before: list[Tensor] = []

    @torch.no_grad()
    def note(self) -> None:
        """Copies them, before a step."""
        self._before = [buffer.clone() for buffer in self._live()]

    @torch.no_grad()
    def restore(self, where: Tensor) -> None:
        """Puts back what was noted where the boolean scalar ``where`` holds; without waiting for a device."""
        for live, before in zip(self._live(), self._before, strict=True):
            live.copy_(torch.where(where, before, live))

    def _live(self) -> list[Tensor]:
        return [buffer for norm in self._norms for buffer in norm.buffers()]


@contextmanager
def statistics_kept(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Leaves running statistics alone in a pass whose samples another pass counts; batches normalise as always."""
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _stack(parts: list[Tensor]) -> Tensor:
    longest = max(x.shape[1] for x in parts)
    padded = [
        x if x.shape[1] == longest else torch.cat([x, x.new_zeros(len(x), longest - x.shape[1], *x.shape[2:])], dim=1)
        for x in parts
    ]
    return torch.cat(padded)
