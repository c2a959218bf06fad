"""What an anchor should match, said in one call: its own key, or the keys of its label.

Each function returns one cross entropy per anchor, not averaged, or their sum. All have one form: for an anchor a with
its own key k, and a target whose weighted mean of the keys is t,

    log Σⱼ exp(s·a·kⱼ) − s·a·t  =  softplus(log Σ_{j≠own} exp(s·a·kⱼ) − s·a·k)  +  s·a·(k − t).

The right side is exact where the left one cancels: with a well-separated pair the softplus is tiny, and so is
k − t.

Shapes: B this rank's pairs, G those of all ranks, K keys, D width.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vlc_core.contrast.op import pair_logsumexp, streaming_logsumexp
from vlc_core.distributed import all_sum, first_row, rank, row_counts, world
from vlc_core.distributed import gather as gather_ranks


def pair_losses(
    left_BD: Tensor,
    right_BD: Tensor,
    scale: Tensor | float,
    *,
    gather: bool = False,
    smoothing: float = 0.0,
    share: float = 1.0,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Row i of one side matches row i of the other.

    Args:
        left_BD: (B, D), rows of unit length.
        right_BD: (B, D), rows of unit length.
        scale: What similarities are multiplied with: a number, a scalar or a tensor of shape (1,).
        gather: Take the keys from all ranks.
        smoothing: The share of the target that is spread evenly over all keys, the own one included.
        share: The share of the keys that serve as negatives, the same ones for every anchor and on every
            rank.
        seed: Draws them: another one in each step, equal on all ranks.

    Returns:
        Two (B,) tensors: of left anchors over right keys, and of right anchors over left keys.
    """
    place = _Place.of(left_BD, gather)
    if share < 1.0:
        positive_B = dot(left_BD, right_BD) * scale
        chosen = chosen_keys(place.total, share, seed).to(left_BD.device)
        rows_B = _chosen_sums(left_BD, right_BD, scale, place, chosen)
        columns_B = _chosen_sums(right_BD, left_BD, scale, place, chosen)
    else:
        chosen = None
        keys_GD = _gathered(right_BD, place)
        rows_B, columns_B, positive_B, _ = pair_logsumexp(
            left_BD, keys_GD, scale, first=place.first, counts=place.counts
        )
    losses = softplus_exact(rows_B - positive_B), softplus_exact(columns_B - positive_B)
    if smoothing == 0.0:
        return losses
    drifts = [_smoothing_drift(a, k, place, chosen) for a, k in ((left_BD, right_BD), (right_BD, left_BD))]
    return losses[0] + smoothing * scale * drifts[0], losses[1] + smoothing * scale * drifts[1]


def label_sums(
    left_BD: Tensor, right_BD: Tensor, labels_B: Tensor, scale: Tensor | float, *, gather: bool = False
) -> tuple[Tensor, Tensor]:
    """Every row matches all rows of the other side that have its label, each by an equal share.

    Args:
        left_BD: (B, D), rows of unit length.
        right_BD: (B, D), rows of unit length.
        labels_B: (B,) int64; a row with a negative label is in a class of its own, with its pair.
        scale: What similarities are multiplied with.
        gather: Take the keys from all ranks.

    Returns:
        Two scalars, summed over this rank's rows: of left anchors over right keys, and of right anchors over left keys.
        Over the whole batch the target's part is the same in both directions, Σ over classes of
        (Σ left)·(Σ right)/size; the second result takes the first one's, so that its total over all ranks is right and
        one rank's alone is not.
    """
    place = _Place.of(left_BD, gather)
    keys_GD = _gathered(right_BD, place)
    labels_G = _gathered(labels_B, place)
    sums = pair_logsumexp(left_BD, keys_GD, scale, first=place.first, counts=place.counts, labels=labels_G)
    left, right = softplus_exact(sums.rows - sums.own).sum(), softplus_exact(sums.columns - sums.own).sum()
    return left + sums.apart, right + sums.apart


def batch_mean(total: Tensor, count: int, *, gather: bool) -> Tensor:
    """A sum over this rank's ``count`` anchors as a mean, such that its mean over ranks is the batch's."""
    if not gather:
        return total / count
    return total * (world() / sum(row_counts(total.new_empty(count))))


def chosen_keys(total: int, share: float, seed: int) -> Tensor:
    """``share`` of the numbers below ``total``, at least one, ascending, int64; the same for equal seeds."""
    generator = torch.Generator().manual_seed(seed)
    count = max(1, round(share * total))
    return torch.randperm(total, generator=generator)[:count].sort().values


def softplus_exact(x: Tensor) -> Tensor:
    """log(1 + exp(x)); torch's own is cut off where float64 still tells the difference."""
    return softplus(x, threshold=40.0)


class _Place(NamedTuple):
    """Where this rank's rows are among those of all that take part."""

    counts: list[int] | None
    total: int
    first: int
    own: Tensor

    @classmethod
    def of(cls, rows: Tensor, gather: bool) -> _Place:
        counts = row_counts(rows) if gather else None
        first = 0 if counts is None else first_row(counts)
        own = torch.arange(first, first + rows.shape[0], device=rows.device)
        return cls(counts, rows.shape[0] if counts is None else sum(counts), first, own)


def _gathered(x: Tensor, place: _Place) -> Tensor:
    return x if place.counts is None else gather_ranks(x, counts=place.counts)


def _chosen_sums(anchors_BD: Tensor, keys_BD: Tensor, scale: Tensor | float, place: _Place, chosen: Tensor) -> Tensor:
    """Log-sums over the chosen keys of all ranks, the own one excepted."""
    return streaming_logsumexp(anchors_BD, _chosen(keys_BD, place, chosen), scale, exclude=(place.own, chosen))


def _chosen(x_BD: Tensor, place: _Place, chosen: Tensor) -> Tensor:
    """The chosen rows among those of all ranks; each rank sends only its own of them."""
    cuts = _cuts(place, chosen)
    mine = _own_chosen(x_BD, place, chosen)
    return mine if place.counts is None else gather_ranks(mine, counts=[b - a for a, b in pairwise(cuts)])


def _own_chosen(x_BD: Tensor, place: _Place, chosen: Tensor) -> Tensor:
    """The chosen ones of this rank's rows."""
    cuts, number = _cuts(place, chosen), 0 if place.counts is None else rank()
    return x_BD[chosen[cuts[number] : cuts[number + 1]] - place.first]


def _cuts(place: _Place, chosen: Tensor) -> list[int]:
    """Where among the chosen numbers each rank's begin, and where the last one's end."""
    ends = [0, *accumulate([place.total] if place.counts is None else place.counts)]
    return [int(n) for n in torch.searchsorted(chosen, torch.tensor(ends, device=chosen.device)).tolist()]


def _smoothing_drift(anchors_BD: Tensor, keys_BD: Tensor, place: _Place, chosen: Tensor | None) -> Tensor:
    """a · (own key − mean key) for each anchor; the mean is over the keys that it is compared with."""
    wide_BD = wide(keys_BD)
    sum_D = (wide_BD if chosen is None else _own_chosen(wide_BD, place, chosen)).sum(dim=0)
    if place.counts is not None:
        sum_D = all_sum(sum_D)
    if chosen is None:
        return dot(anchors_BD, wide_BD - sum_D / place.total)
    extra_B1 = (~torch.isin(place.own, chosen))[:, None].to(wide_BD.dtype)
    return dot(anchors_BD, wide_BD - (sum_D + extra_B1 * wide_BD) / (chosen.shape[0] + extra_B1))


def wide(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def dot(left_BD: Tensor, right_BD: Tensor) -> Tensor:
    """Row by row, in float32 at least."""
    return (wide(left_BD) * wide(right_BD)).sum(dim=1)
