"""The ranks of a run: who they are, and what they exchange.

Everything here is the identity when there is no process group or only one rank, so that callers need no
branch. Which collectives run follows from the calls alone, never from values; the first dimension may differ
between ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

T = TypeVar("T")


def rank() -> int:
    """This process's number, 0 … world() − 1."""
    return dist.get_rank() if _grouped() else 0


def world() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if _grouped() else 1


def row_counts(x: Tensor) -> list[int]:
    """The first dimension of ``x`` on every rank, in the order of ranks. One small collective."""
    if world() == 1:
        return [x.shape[0]]
    counts = x.new_empty(world(), dtype=torch.int64)
    _all_gather_flat(counts, torch.tensor([x.shape[0]], dtype=torch.int64, device=x.device))
    return [int(n) for n in counts.tolist()]


def gather(x: Tensor, *, counts: Sequence[int] | None = None) -> Tensor:
    """``x`` of all ranks, one after another. Differentiable, for a loss that is summed over ranks.

    The gradient of a rank's rows is the sum of what all ranks have for them, brought home by one
    reduce-scatter. A tensor that needs no gradient takes no part in the backward pass, on any rank: whether
    it needs one must therefore be the same everywhere.

    Args:
        x: (N, …) of any type; N may differ between ranks, the rest not.
        counts: What :func:`row_counts` gave, where the caller has it already.
    """
    if world() == 1:
        return x
    counts = row_counts(x) if counts is None else list(counts)
    gathered: Tensor = _Gather.apply(x, counts) if x.requires_grad else gather_rows(x, counts)
    return gathered


def all_sum(x: Tensor) -> Tensor:
    """The sum of ``x`` over the ranks. Differentiable, for a loss that is summed over ranks."""
    if world() == 1:
        return x
    summed: Tensor = _AllSum.apply(x)
    return summed


def all_max(x: Tensor) -> Tensor:
    """The greatest of ``x`` over the ranks, element by element. Without gradient."""
    if world() == 1:
        return x
    greatest = x.detach().clone()
    dist.all_reduce(greatest, op=dist.ReduceOp.MAX)
    return greatest


def gather_objects(value: T) -> list[T]:
    """A small Python value of every rank, in the order of ranks; pickled, so only for values of our own."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    dist.all_gather_object(values, value)
    return values


def broadcast_object(value: T, source: int = 0) -> T:
    """The small Python value that rank ``source`` gives, on every rank. What the others give is ignored."""
    if world() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box, src=source)
    received: T = box[0]
    return received


def gather_rows(x: Tensor, counts: Sequence[int]) -> Tensor:
    """:func:`gather` without gradient; ``counts`` are the rows of each rank."""
    if world() == 1:
        return x.detach()
    most = max(counts)
    sent = _padded(x.detach(), most)
    received = sent.new_empty((world() * most, *x.shape[1:]))
    _all_gather_flat(received, sent)
    if min(counts) == most:
        return received
    return torch.cat([part[:count] for part, count in zip(received.split(most), counts, strict=True)])


def scatter_sum(x: Tensor, counts: Sequence[int]) -> Tensor:
    """The sum of ``x`` over the ranks, each getting its own rows: the transpose of :func:`gather_rows`.

    Args:
        x: (Σ counts, …), the rows of all ranks.
        counts: The rows of each rank.
    """
    if world() == 1:
        return x
    most = max(counts)
    if min(counts) != most:
        x = torch.cat([_padded(part, most) for part in x.split(list(counts))])
    received = x.new_empty((most, *x.shape[1:]))
    _reduce_scatter_flat(received, x.contiguous())
    return received[: counts[rank()]]


def first_row(counts: Sequence[int]) -> int:
    """Where this rank's rows start among the gathered ones."""
    return [0, *accumulate(counts)][rank()]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        return gather_rows(x, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return scatter_sum(gradient, ctx.counts), None


class _AllSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()


def _summed(x: Tensor) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def _padded(x: Tensor, rows: int) -> Tensor:
    if x.shape[0] == rows:
        return x.contiguous()
    return torch.cat([x, x.new_zeros((rows - x.shape[0], *x.shape[1:]))])


def _all_gather_flat(received: Tensor, sent: Tensor) -> None:
    _collective("all_gather_single", "all_gather_into_tensor")(received, sent)


def _reduce_scatter_flat(received: Tensor, sent: Tensor) -> None:
    _collective("reduce_scatter_single", "reduce_scatter_tensor")(received, sent)


def _collective(name: str, former: str) -> Callable[..., Any]:
    """A collective by the name that torch 2.13 gave it, or by its former one before."""
    found: Callable[..., Any] = getattr(dist, name, None) or getattr(dist, former)
    return found
