"""The primitive under every contrastive loss: log-sum-exp over scaled similarities, never the whole matrix.

Every loss here is Σᵢ [ log Σⱼ exp(s·aᵢ·kⱼ) − s·aᵢ·tᵢ ], where tᵢ is a mean of the keys by the weights of the
target; the first part is this one, the second costs A·D. Forward and backward of rows and columns together
are four matrix products where the usual implementation has six and stores the matrix several times.

Shapes: A anchors, K keys, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

from vlc_core.contrast.autograd import LN_2, differentiable_sums, path, without_autocast
from vlc_core.contrast.classes import Classes
from vlc_core.contrast.tiles import Groups


@overload
def streaming_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    both: Literal[False] = False,
    exclude: Groups | None = None,
) -> Tensor: ...
@overload
def streaming_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    both: Literal[True],
    exclude: Groups | None = None,
) -> tuple[Tensor, Tensor]: ...
def streaming_logsumexp(
    anchors: Tensor, keys: Tensor, scale: Tensor | float, *, both: bool = False, exclude: Groups | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """log Σⱼ exp(scale · anchorᵢ · keyⱼ) for each anchor, with ``both`` also over the anchors for each key.

    Differentiable once, with respect to anchors, keys and scale. Where the keys need no gradient (a queue,
    momentum features) and rows only are asked for, it takes two matrix products instead of four.

    Args:
        anchors: (A, D) float64, float32, bfloat16 or float16. Sums are taken in float32, or float64 where
            either input has it. Rows of unit length are summed fastest; any others are summed as exactly.
        keys: (K, D), likewise.
        scale: The inverse temperature: a number, or a tensor with one element.
        both: Also return the sums over the anchors.
        exclude: Two int64 tensors, (A,) and (K,): pairs with equal entries are left out.

    Returns:
        (A,), or (A,) and (K,), in the type of the sums. −∞, with zero gradient, where nothing was left to
        sum.
    """
    rows, columns, *_ = differentiable_sums(anchors, keys, scale, both=both, exclude=exclude)
    return (rows, columns) if both else rows


class PairSums(NamedTuple):
    """What :func:`pair_logsumexp` returns.

    Attributes:
        rows: For each of this rank's anchors, log Σ exp of its logits with all keys but its own.
        columns: For each of this rank's keys, the same over all anchors but its own.
        own: The logit of each of this rank's anchors with its own key.
        apart: How far that lies above the anchor's mean logit with the keys of its class, the own one included, summed
            over this rank's anchors: a scalar, 0 where no two keys are of one class.
    """

    rows: Tensor
    columns: Tensor
    own: Tensor
    apart: Tensor


def pair_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    first: int = 0,
    counts: Sequence[int] | None = None,
    labels: Tensor | None = None,
) -> PairSums:
    """As :func:`streaming_logsumexp` with ``both``, each anchor's own key kept apart, over the anchors of all ranks.

    Each rank holds its own anchors and all keys, gathered. Sums over keys are local; those over anchors take one
    all-reduce of K numbers by maximum and one by sum, and in the backward pass one gathering of K numbers. The gradient
    of ``keys`` is this rank's part: :func:`vlc_core.distributed.gather` adds the parts up.

    Args:
        anchors: (A, D), this rank's.
        keys: (K, D), those of all ranks, in their order.
        scale: The inverse temperature, equal on all ranks.
        first: The own key of anchor i is number ``first`` + i.
        counts: How many of the keys each rank owns; None where nothing is exchanged.
        labels: (K,) int64 classes of the keys, those with a negative one alone in theirs; None if all are.
    """
    number_K = torch.arange(keys.shape[0], device=keys.device)
    exclude = (number_K[first : first + anchors.shape[0]], number_K)
    classes = None if labels is None else Classes.of(labels)
    sums = differentiable_sums(
        anchors, keys, scale, both=True, exclude=exclude, counts=counts, first=first, classes=classes
    )
    return PairSums(*sums)


class Attended(NamedTuple):
    """What :func:`streaming_mean` returns.

    Attributes:
        means: The weighted mean of the keys for each anchor; zero for an anchor without keys.
        logsums: What :func:`streaming_logsumexp` gives.
    """

    means: Tensor
    logsums: Tensor


def streaming_mean(anchors: Tensor, keys: Tensor, scale: Tensor | float, *, exclude: Groups | None = None) -> Attended:
    """The mean key by the weights softmaxⱼ(scale · anchorᵢ · keyⱼ): attention in tiles, without gradient.

    Args:
        anchors: (A, D) queries.
        keys: (K, D), which are the values too.
        scale: The inverse temperature.
        exclude: As for :func:`streaming_logsumexp`.
    """
    with torch.no_grad(), without_autocast(anchors):
        found = path(anchors, keys, scale, exclude).sums(means=True)
    assert found.means is not None
    return Attended(found.means, found.rows * LN_2)
