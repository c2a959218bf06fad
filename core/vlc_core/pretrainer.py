"""The module that DeepSpeed wraps: towers and objectives, entered through one ``forward`` with a phase.

A step in one piece is the phase TRAIN. A step in micro-batches is EMBED for each of them without gradient, CONTRAST
once over the features of all, and REPLAY for each of them with the gradients that CONTRAST found (gradient caching, Gao
et al., arXiv 2101.06983): objectives see every negative, memory holds one micro-batch's activations.

Which modules run and in which order follows from the recipe alone, so that no rank ever waits for another in vain.

Shapes: B samples of this rank, b of a micro-batch, T terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vlc_core import accounting, distributed
from vlc_core.accounting import TermName, Terms
from vlc_core.batch import Batch
from vlc_core.interfaces.objective import Needs, Objective
from vlc_core.step import Step
from vlc_core.towers import Features, Towers


class Phase(Enum):
    """What a forward call is for."""

    TRAIN = "train"
    EMBED = "embed"
    CONTRAST = "contrast"
    REPLAY = "replay"
    IMAGE = "image"
    TEXT = "text"


class Moment(NamedTuple):
    """When in the run a step happens, and where its dropout comes from.

    Attributes:
        seed: Of the run.
        progress: The share of the run that is done, 0…1.
        draw: Seeds torch's generators before the features are computed: a function of seed, step, rank and
            micro-batch, so that nothing of a generator's state need be kept to replay or resume a step.
    """

    seed: int
    progress: float
    draw: int


class Losses(NamedTuple):
    """What a step in one piece gives.

    Attributes:
        loss: This rank's share, a scalar to be differentiated.
        totals: The terms' sums and counts (T, 2) over all ranks.
        scale: The scale 1/τ that was used, (1,).
    """

    loss: Tensor
    totals: Tensor
    scale: Tensor


class Embedded(NamedTuple):
    """Features of a micro-batch without gradient, and the tally (T, 2) of its micro-scope terms."""

    views: tuple[Features, ...]
    text: Features
    tally: Tensor


class Pull(NamedTuple):
    """What the batch-scope objectives pull at.

    Attributes:
        views: Gradients of the loss with respect to the features of each view; None where there is none.
        text: The same for the text.
        scale: The scale 1/τ that was used, (1,).
        scale_pull: The gradient with respect to it, (1,).
        totals: The terms' sums and counts (T, 2) over all ranks and micro-batches.
    """

    views: tuple[tuple[Tensor | None, ...], ...]
    text: tuple[Tensor | None, ...]
    scale: Tensor
    scale_pull: Tensor
    totals: Tensor


class Pretrainer(nn.Module):
    """Towers, objectives and their weights.

    Args:
        towers: The model.
        objectives: By name, in the recipe's order.
        weights: Of the objectives, by name.
        needs: Of each objective under its options, by name.
    """

    def __init__(
        self,
        towers: Towers,
        objectives: dict[str, Objective],
        weights: dict[str, float],
        needs: dict[str, Needs],
    ) -> None:
        super().__init__()
        self.towers = towers
        self.objectives = nn.ModuleDict(objectives)
        self.weights = weights
        self.needs = reduce(Needs.merge, needs.values())
        self.batch_scope = [name for name in objectives if needs[name].scope == "batch"]
        self.micro_scope = [name for name in objectives if needs[name].scope == "micro"]
        self.term_names: tuple[TermName, ...] = ()
        self._phases: dict[Phase, Callable[..., Any]] = {
            Phase.TRAIN: self._train,
            Phase.EMBED: self._embed,
            Phase.CONTRAST: self._contrast,
            Phase.REPLAY: self._replay,
            # Called, not their ``forward``: ZeRO-3 gathers parameters in the hooks of a call.
            Phase.IMAGE: lambda pixels: self.towers.image(pixels),
            Phase.TEXT: lambda tokens, mask: self.towers.text(tokens, mask),
        }

    def forward(self, phase: Phase, *args: Any) -> Any:
        """Runs ``phase``; its arguments and result are those of the method of that name."""
        return self._phases[phase](*args)

    def _train(self, batch: Batch, moment: Moment) -> Losses:
        step = self._step(batch, moment)
        terms = self._terms(step, [*self.batch_scope, *self.micro_scope])
        self._remember(terms)
        totals = distributed.all_sum(accounting.tally(terms, batch.labels.device))
        return Losses(accounting.weighted_loss(terms, totals, self.weights), totals, step.scale.detach())

    @torch.no_grad()
    def _embed(self, batch: Batch, moment: Moment) -> Embedded:
        step = self._step(batch, moment)
        *views, text = step.encode(self.needs)
        terms = self._terms(step, self.micro_scope)
        self._micro_names = tuple(terms)
        return Embedded(tuple(views), text, accounting.tally(terms, batch.labels.device))

    def _contrast(self, batch: Batch, parts: list[Embedded], moment: Moment) -> Pull:
        views = tuple(_leaves(part.views[i] for part in parts) for i in range(self.needs.views))
        text = _leaves(part.text for part in parts)
        with torch.no_grad():
            scale = self.towers.temperature()
        scale = scale.detach().requires_grad_()
        step = self._step(batch, moment, views=dict(enumerate(views)), text=text, scale=scale)
        terms = self._terms(step, self.batch_scope)
        self.term_names = (*terms, *self._micro_names)
        own = torch.stack([part.tally for part in parts]).sum(dim=0)
        totals = distributed.all_sum(torch.cat([accounting.tally(terms, own.device), own]))
        loss = accounting.weighted_loss(terms, totals[: len(terms)], self.weights)
        leaves = [x for features in (*views, text) for x in features if x is not None and x.requires_grad]
        grads = iter(_gradients(loss, [*leaves, scale]))
        pulls = [tuple(next(grads) if x is not None and x.requires_grad else None for x in f) for f in (*views, text)]
        scale_pull = next(grads)
        if scale_pull is None:
            scale_pull = torch.zeros_like(scale)
        return Pull(tuple(pulls[:-1]), pulls[-1], scale.detach(), scale_pull, totals)

    def _replay(
        self,
        batch: Batch,
        part: slice,
        pull: Pull,
        moment: Moment,
        whole: tuple[Batch, list[Embedded], Moment] | None,
    ) -> Tensor:
        """A scalar whose gradient is this micro-batch's part of the loss's gradient.

        Args:
            batch: The micro-batch, rows ``part`` of the rank's batch.
            pull: Of the whole batch.
            moment: When in the run.
            whole: Given with one micro-batch of the step: what CONTRAST was given, for the parameters that the
                batch-scope objectives and the temperature have of their own.
        """
        step = self._step(batch, moment)
        features = step.encode(self.needs)
        loss = sum_of_products(features, (*pull.views, pull.text), part)
        micro = self._terms(step, self.micro_scope)
        if micro:
            loss = loss + accounting.weighted_loss(micro, pull.totals[-len(micro) :], self.weights)
        if whole is not None:
            loss = loss + (self.towers.temperature() * pull.scale_pull).sum() + self._own_parameters(*whole, pull)
        return loss

    def _own_parameters(self, batch: Batch, parts: list[Embedded], moment: Moment, pull: Pull) -> Tensor:
        names = [name for name in self.batch_scope if next(self.objectives[name].parameters(), None) is not None]
        if not names:
            return pull.scale.new_zeros(())
        views = {i: _joined(part.views[i] for part in parts) for i in range(self.needs.views)}
        step = self._step(batch, moment, views=views, text=_joined(part.text for part in parts), scale=pull.scale)
        terms = self._terms(step, names)
        rows = [i for i, name in enumerate(self.term_names) if name in terms]
        return accounting.weighted_loss(terms, pull.totals[rows], self.weights)

    def _step(self, batch: Batch, moment: Moment, **given: Any) -> Step:
        torch.manual_seed(moment.draw)
        return Step(self.towers, batch, seed=moment.seed, progress=moment.progress, **given)

    def _terms(self, step: Step, names: list[str]) -> Terms:
        terms: Terms = {}
        for name in names:
            terms |= accounting.named_terms(name, self.objectives[name](step), len(step))
        return terms

    def _remember(self, terms: Terms) -> None:
        names = tuple(terms)
        if self.term_names not in ((), names):
            raise ValueError(f"the terms of a loss changed from {self.term_names} to {names} between two steps")
        self.term_names = names


def sum_of_products(features: Iterable[Features], pulls: Iterable[tuple[Tensor | None, ...]], part: slice) -> Tensor:
    """Σ feature · gradient over everything that has one: its gradient is the chain rule's next factor."""
    products = [
        (x * (pull[part, : x.shape[1]] if x.dim() == 3 else pull[part])).sum()
        for feature, pull_of in zip(features, pulls, strict=True)
        for x, pull in zip(feature, pull_of, strict=True)
        if x is not None and pull is not None
    ]
    return torch.stack([p.float() for p in products]).sum()


def _joined(parts: Iterable[Features]) -> Features:
    """Micro-batches' features one under the other, tokens padded to the longest."""
    columns = [[x for x in column if x is not None] for column in zip(*parts, strict=True)]
    return Features(*(_stack(column) if column else None for column in columns))  # type: ignore[arg-type]


def _stack(parts: list[Tensor]) -> Tensor:
    longest = max(x.shape[1] for x in parts)
    padded = [
        x if x.shape[1] == longest else torch.cat([x, x.new_zeros(len(x), longest - x.shape[1], *x.shape[2:])], dim=1)
        for x in parts
    ]
    return torch.cat(padded)


def _leaves(parts: Iterable[Features]) -> Features:
    joined = _joined(parts)
    return Features(
        *(x.detach().requires_grad_() if x is not None and x.is_floating_point() else x for x in joined)  # type: ignore[arg-type]
    )


def _gradients(loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor | None, ...]:
    if not loss.requires_grad:
        return (None,) * len(leaves)
    with torch.autocast(loss.device.type, enabled=False):
        return torch.autograd.grad(loss, leaves, allow_unused=True)
