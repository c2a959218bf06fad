"""The module that DeepSpeed wraps: towers and objectives, entered through one ``forward`` with a phase.

A step in one piece is the phase TRAIN. A step in micro-batches is EMBED for each of them without gradient, CONTRAST
once over the features of all, and REPLAY for each of them with the gradients that CONTRAST found (gradient caching, Gao
et al., arXiv 2101.06983): objectives see every negative, memory holds one micro-batch's activations.

Which modules run and in which order follows from the recipe alone, so that no rank ever waits for another in vain.

Shapes: B samples of this rank, b of a micro-batch, T terms.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vlc_core import accounting, distributed, replay
from vlc_core.accounting import TermName, Terms
from vlc_core.batch import Batch
from vlc_core.errors import VlcError
from vlc_core.interfaces.objective import Needs, Objective
from vlc_core.model.towers import Features, Towers
from vlc_core.step import Step


class Phase(Enum):
    """What a forward call is for."""

    TRAIN = "train"
    EMBED = "embed"
    CONTRAST = "contrast"
    REPLAY = "replay"
    IMAGE = "image"
    TEXT = "text"
    SCALE = "scale"


class Moment(NamedTuple):
    """When in the run a step happens, and where its dropout comes from.

    Attributes:
        seed: Of the run.
        progress: The share of the run that is done, 0…1.
        draw: Seeds torch's generators before the features are computed, and with the objective's number added before
            each objective: a function of seed, step, rank and micro-batch, so that nothing of a generator's state
            need be kept to replay or resume a step.
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
        self._micro_names: tuple[TermName, ...] | None = None
        self._named = False
        self._norms = replay.norms_with_statistics(self)
        self._phases: dict[Phase, Callable[..., Any]] = {
            Phase.TRAIN: self._train,
            Phase.EMBED: self._embed,
            Phase.CONTRAST: self._contrast,
            Phase.REPLAY: self._replay,
            # Called, not their ``forward``: ZeRO-3 gathers parameters in the hooks of a call.
            Phase.IMAGE: lambda pixels: self.towers.image(pixels),
            Phase.TEXT: lambda tokens, mask: self.towers.text(tokens, mask),
            Phase.SCALE: lambda: self.towers.temperature(),
        }

    def forward(self, phase: Phase, *args: Any) -> Any:
        """Runs ``phase``; its arguments and result are those of the method of that name."""
        return self._phases[phase](*args)

    def _train(self, batch: Batch, moment: Moment) -> Losses:
        step = self._step(batch, moment)
        terms = self._terms(step, [*self.batch_scope, *self.micro_scope], moment)
        self._remember(tuple(terms))
        totals = distributed.all_sum(accounting.tally(terms, batch.labels.device))
        return Losses(accounting.weighted_loss(terms, totals, self.weights), totals, step.scale.detach())

    @torch.no_grad()
    def _embed(self, batch: Batch, moment: Moment) -> Embedded:
        with replay.statistics_kept(self._norms):
            step = self._step(batch, moment)
            *views, text = step.encode(self.needs)
            terms = self._terms(step, self.micro_scope, moment)
        self._micro_names = _same(tuple(terms), self._micro_names)
        return Embedded(tuple(views), text, accounting.tally(terms, batch.labels.device))

    def _contrast(self, batch: Batch, parts: list[Embedded], moment: Moment) -> Pull:
        views = tuple(replay.leaves(part.views[i] for part in parts) for i in range(self.needs.views))
        text = replay.leaves(part.text for part in parts)
        with torch.no_grad():
            scale = self.towers.temperature()
        scale.requires_grad_()
        step = self._step(batch, moment, views=dict(enumerate(views)), text=text, scale=scale)
        terms = self._terms(step, self.batch_scope, moment)
        self._remember((*terms, *(self._micro_names or ())))
        own = torch.stack([part.tally for part in parts]).sum(dim=0)
        totals = distributed.all_sum(torch.cat([accounting.tally(terms, own.device), own]))
        loss = accounting.weighted_loss(terms, totals[: len(terms)], self.weights)
        leaves = [x for features in (*views, text) for x in features if x is not None and x.requires_grad]
        grads = iter(replay.gradients(loss, [*leaves, scale]))
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
        loss = replay.sum_of_products(features, (*pull.views, pull.text), part).to(pull.scale.device)
        micro = self._terms(step, self.micro_scope, moment)
        if micro:
            loss = loss + accounting.weighted_loss(micro, pull.totals[-len(micro) :], self.weights)
        if whole is not None:
            loss = loss + (self.towers.temperature() * pull.scale_pull).sum() + self._own_parameters(*whole, pull)
        return loss

    def _own_parameters(self, batch: Batch, parts: list[Embedded], moment: Moment, pull: Pull) -> Tensor:
        """The batch-scope loss with gradient for the parameters of the objectives alone."""
        names = [name for name in self.batch_scope if next(self.objectives[name].parameters(), None) is not None]
        if not names:
            return pull.scale.new_zeros(())
        views = {i: replay.joined(part.views[i] for part in parts) for i in range(self.needs.views)}
        text = replay.joined(part.text for part in parts)
        with replay.statistics_kept(self._norms):
            step = self._step(batch, moment, views=views, text=text, scale=pull.scale)
            terms = self._terms(step, names, moment)
        rows = [i for i, name in enumerate(self.term_names) if name in terms]
        return accounting.weighted_loss(terms, pull.totals[rows], self.weights)

    def _step(self, batch: Batch, moment: Moment, **given: Any) -> Step:
        torch.manual_seed(moment.draw)
        return Step(self.towers, batch, seed=moment.seed, progress=moment.progress, **given)

    def _terms(self, step: Step, names: list[str], moment: Moment) -> Terms:
        terms: Terms = {}
        for number, name in enumerate(self.objectives):
            if name in names:
                torch.manual_seed(moment.draw + 1 + number)
                terms |= accounting.named_terms(name, self.objectives[name](step), len(step))
        return terms

    def _remember(self, names: tuple[TermName, ...]) -> None:
        """Holds objectives to the names of their first step, on this rank and, in that step, across ranks.

        Raises:
            VlcError: They differ, and so the sums of one term would be added to those of another.
        """
        if not self._named:
            for other in distributed.gather_objects(names):
                _same(other, names)
            self.term_names, self._named = names, True
        _same(names, self.term_names)


def _same(names: tuple[TermName, ...], before: tuple[TermName, ...] | None) -> tuple[TermName, ...]:
    if before is not None and names != before:
        odd = sorted({name.objective for name in {*before} ^ {*names}} or {name.objective for name in names})
        raise VlcError(
            f"the terms of {' and '.join(odd)} changed from {_spelt(before)} to {_spelt(names)}: an objective returns "
            f"the same terms in every step and on every rank, with a count of zero where there is nothing to count"
        )
    return names


def _spelt(names: tuple[TermName, ...]) -> str:
    return ", ".join("/".join(name) for name in names) or "none"
