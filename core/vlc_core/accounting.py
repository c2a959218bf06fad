"""From the terms of all objectives to one loss that is the same however the batch is cut.

Every term is a sum and a count on this rank. Its mean is the sum over all ranks and micro-batches divided by the
count over all of them; data parallelism averages gradients over ranks, so a rank's share of the loss carries the
factor world.

Shapes: T terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core import distributed
from vlc_core.errors import VlcError
from vlc_core.interfaces.objective import Measure, Term


class TermName(NamedTuple):
    """Which term of which objective, and whether it is part of the loss."""

    objective: str
    term: str
    learned: bool = True


Terms = dict[TermName, Term]

_WRONG_RESULT = (
    "the objective {!r} returned {}: return a scalar tensor, the mean over the samples, or a mapping of names to "
    "Term(sum, count) or Measure(sum, count)"
)


def named_terms(objective: str, result: Mapping[str, Term | Measure] | Tensor, batch_size: int) -> Terms:
    """What an objective returned, with full names; a bare scalar is the mean over this rank's samples.

    Raises:
        VlcError: It returned something else.
    """
    if isinstance(result, Tensor):
        if result.numel() != 1:
            raise VlcError(_WRONG_RESULT.format(objective, f"a tensor of shape {tuple(result.shape)}"))
        result = {objective: Term(result.sum() * batch_size, batch_size)}
    for name, term in result.items():
        if not (isinstance(term, tuple) and len(term) == 2 and isinstance(term[0], Tensor)):
            raise VlcError(_WRONG_RESULT.format(objective, f"{type(term).__name__} as its term {name!r}"))
    return {TermName(objective, name, not isinstance(term, Measure)): Term(*term) for name, term in result.items()}


def tally(terms: Terms, device: torch.device) -> Tensor:
    """Sums and counts (T, 2) of this rank without gradient, in double precision so that counts stay exact."""
    rows = [
        torch.stack([torch.as_tensor(x, device=device).detach().double().sum() for x in term])
        for term in terms.values()
    ]
    return torch.stack(rows) if rows else torch.zeros(0, 2, dtype=torch.float64, device=device)


def weighted_loss(terms: Terms, totals: Tensor, weights: Mapping[str, float]) -> Tensor:
    """This rank's share of the loss, a scalar: Σ weight · sum · world / count over all ranks.

    Args:
        terms: This rank's terms, with gradient.
        totals: Sums and counts (T, 2) over all ranks and micro-batches, in the order of ``terms``.
        weights: Of the objectives, by name.
    """
    # Nothing was summed where nothing was counted: the sum is zero, whatever it is divided by.
    counts = torch.where(totals[:, 1] == 0, 1, totals[:, 1])
    loss = totals.new_zeros((), dtype=torch.float32)
    for (name, term), count in zip(terms.items(), counts, strict=True):
        if not name.learned:
            continue
        factor = weights[name.objective] * distributed.world()
        share = (factor / count).to(torch.promote_types(term.sum.dtype, torch.float32))
        loss = loss + term.sum.sum() * share
    return loss


def report(names: tuple[TermName, ...], totals: Tensor, weights: Mapping[str, float]) -> dict[str, float]:
    """The metrics of a step from ``totals`` (T, 2).

    They are ``loss``, ``loss/OBJECTIVE`` and, where an objective has several terms, ``loss/OBJECTIVE/TERM``; what is
    measured beside the loss is ``OBJECTIVE/MEASURE``.
    """
    means = {
        name: total / (1.0 if count == 0 else count)
        for name, (total, count) in zip(names, totals.tolist(), strict=True)
    }
    learned = {name: mean for name, mean in means.items() if name.learned}
    metrics = {"loss": sum(weights[name.objective] * mean for name, mean in learned.items())}
    for objective in dict.fromkeys(name.objective for name in learned):
        own = {name.term: mean for name, mean in learned.items() if name.objective == objective}
        metrics[f"loss/{objective}"] = sum(own.values())
        if len(own) > 1:
            metrics |= {f"loss/{objective}/{term}": mean for term, mean in own.items()}
    return metrics | {f"{n.objective}/{n.term}": mean for n, mean in means.items() if not n.learned}
