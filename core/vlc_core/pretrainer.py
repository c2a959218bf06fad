"""The module that DeepSpeed wraps: towers and objectives, entered through one ``forward`` with a phase.

A step in one piece is the phase TRAIN. A step in micro-batches is EMBED for each of them without gradient, CONTRAST
once over the features of all, and REPLAY for each of them with the gradients that CONTRAST found (gradient caching, Gao
et al., arXiv 2101.06983): objectives see every negative, memory holds one micro-batch's activations.

Which modules run and in which order follows from the recipe alone, so that no rank ever waits for another in vain.

Shapes: T terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vlc_core import accounting, distributed, replay
from vlc_core.accounting import TermName, Terms
from vlc_core.batch import Batch
from vlc_core.errors import VlcError
from vlc_core.interfaces.objective import Needs, Objective
from vlc_core.model.judging import Look, Pairs, judge
from vlc_core.model.towers import Features
from vlc_core.momentum import MomentumTwin
from vlc_core.phases import Embedded, Fresh, Losses, Moment, Phase, Pull
from vlc_core.step import MASKED_TEXT, TEXT, Setting, Step


class Pretrainer(nn.Module):
    """Towers, their twins, objectives and the objectives' weights.

    Args:
        setting: The model and what is the same in every step.
        objectives: By name, in the recipe's order.
        weights: Of the objectives, by name.
        needs: Of each objective under its options, by name.
    """

    def __init__(
        self,
        setting: Setting,
        objectives: dict[str, Objective],
        weights: dict[str, float],
        needs: dict[str, Needs],
    ) -> None:
        super().__init__()
        self.towers = setting.towers
        if setting.twins is not None:
            self.twins = setting.twins
        self.objectives = nn.ModuleDict(objectives)
        self.weights = weights
        self.needs, self.needs_of = setting.needs, needs
        self.views = setting.views
        self.batch_scope = [name for name in objectives if needs[name].scope == "batch"]
        self.micro_scope = [name for name in objectives if needs[name].scope == "micro"]
        self.term_names: tuple[TermName, ...] = ()
        self._setting = setting
        self._fuses = {name for name in objectives if needs[name].fusion}
        self._micro_momentum = any(needs[name].momentum for name in self.micro_scope)
        # What only micro-scope objectives read need not be kept until the whole batch is embedded.
        self._keeps_parts = any(_reads_parts(needs[name]) for name in self.batch_scope)
        self._followers = [module for module in self.modules() if isinstance(module, MomentumTwin)]
        self._fresh: Fresh | None = None
        self._micro_names: tuple[TermName, ...] | None = None
        self._named = False
        self._norms = replay.norms_with_statistics(self)
        self.statistics = replay.Statistics(self._norms)
        self._phases: dict[Phase, Callable[..., Any]] = {
            Phase.TRAIN: self._train,
            Phase.EMBED: self._embed,
            Phase.CONTRAST: self._contrast,
            Phase.REPLAY: self._replay,
            # Called, not their ``forward``: ZeRO-3 gathers parameters in the hooks of a call.
            Phase.IMAGE: lambda pixels: self.towers.image(pixels),
            Phase.TEXT: lambda tokens, mask: self.towers.text(tokens, mask),
            Phase.SCALE: lambda: self.towers.temperature(),
            Phase.JUDGE: self._judge,
        }

    def forward(self, phase: Phase, *args: Any) -> Any:
        """Runs ``phase``; its arguments and result are those of the method of that name."""
        return self._phases[phase](*args)

    @torch.no_grad()
    def advance(self) -> None:
        """What follows an optimizer step: twins move towards the model, queues take what the twins gave."""
        for twin in self._followers:
            twin.update()
        if self._fresh is not None:
            self.twins.remember(*self._fresh)
            self._fresh = None

    def _train(self, batch: Batch, moment: Moment) -> Losses:
        step = self._step(batch, moment)
        terms = self._terms(step, [*self.batch_scope, *self.micro_scope], moment)
        self._remember(tuple(terms))
        self._keep_for_queue(step)
        totals = distributed.all_sum(accounting.tally(terms, batch.labels.device))
        return Losses(accounting.weighted_loss(terms, totals, self.weights), totals, step.scale.detach())

    @torch.no_grad()
    def _embed(self, batch: Batch, moment: Moment) -> Embedded:
        with replay.statistics_kept(self._norms):
            step = self._step(batch, moment)
            features = step.encode([*self._setting.student(), *self._setting.momentum()])
            terms = self._terms(step, self.micro_scope, moment)
        self._micro_names = _same(tuple(terms), self._micro_names)
        if not self._keeps_parts:
            features = {name: replay.without_parts(one) for name, one in features.items()}
        return Embedded(features, accounting.tally(terms, batch.labels.device))

    def _contrast(self, batch: Batch, parts: list[Embedded], moment: Moment) -> Pull:
        known = _joined(parts)
        students = {name: replay.leaf(known[name]) for name in self._setting.student() if self._is_trained(name)}
        with torch.no_grad():
            scale = self.towers.temperature()
        scale.requires_grad_()
        step = self._step(batch, moment, known=known | students, scale=scale, chunk=_longest(parts))
        terms = self._terms(step, self.batch_scope, moment)
        self._remember((*terms, *(self._micro_names or ())))
        self._keep_for_queue(step)
        own = torch.stack([part.tally for part in parts]).sum(dim=0)
        totals = distributed.all_sum(torch.cat([accounting.tally(terms, own.device), own]))
        loss = accounting.weighted_loss(terms, totals[: len(terms)], self.weights)
        leaves = [x for features in students.values() for x in features if x is not None and x.requires_grad]
        grads = iter(replay.gradients(loss, [*leaves, scale]))
        pulls = {
            name: tuple(next(grads) if x is not None and x.requires_grad else None for x in features)
            for name, features in students.items()
        }
        scale_pull = next(grads)
        if scale_pull is None:
            scale_pull = torch.zeros_like(scale)
        return Pull(pulls, scale.detach(), scale_pull, totals)

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
                batch-scope objectives, the fusion encoder and the temperature have of their own.
        """
        step = self._step(batch, moment)
        # A tower of which nothing is trained draws nothing and is pulled at by nothing: it is not computed again.
        features = step.encode([name for name in self._setting.student() if name in pull.features])
        if self._micro_momentum:
            step.encode(self._setting.momentum())  # after the towers, as in EMBED, whose dropout this repeats
        loss = replay.sum_of_products(features, pull.features, part).to(pull.scale.device)
        micro = self._terms(step, self.micro_scope, moment)
        if micro:
            loss = loss + accounting.weighted_loss(micro, pull.totals[-len(micro) :], self.weights)
        if whole is not None:
            loss = loss + (self.towers.temperature() * pull.scale_pull).sum() + self._own_parameters(*whole, pull)
        return loss

    def _own_parameters(self, batch: Batch, parts: list[Embedded], moment: Moment, pull: Pull) -> Tensor:
        """The batch-scope loss with gradient for the parameters of the objectives and the fusion encoder alone."""
        names = [name for name in self.batch_scope if name in self._fuses or _has_parameters(self.objectives[name])]
        if not names:
            return pull.scale.new_zeros(())
        with replay.statistics_kept(self._norms):
            step = self._step(batch, moment, known=_joined(parts), scale=pull.scale, chunk=_longest(parts))
            terms = self._terms(step, names, moment)
        rows = [i for i, name in enumerate(self.term_names) if name in terms]
        return accounting.weighted_loss(terms, pull.totals[rows], self.weights)

    def _judge(self, name: str, pairs: Pairs, look: Look | None) -> Tensor:
        """What the objective ``name`` makes of pairs outside training."""
        objective = self.objectives[name]
        assert isinstance(objective, Objective)
        return judge(self.towers, objective, pairs, look)

    def _is_trained(self, name: str) -> bool:
        """Whether anything of the tower that gives the features ``name`` is trained."""
        return (self.towers.text if name in (TEXT, MASKED_TEXT) else self.towers.image).trained

    def _keep_for_queue(self, step: Step) -> None:
        """Keeps what :meth:`advance` queues: not before the backward pass, which may still read the queue."""
        if self.needs.queue:
            self._fresh = Fresh(step.momentum.image.embed, step.momentum.text.embed, step.labels, step.groups)

    def _step(self, batch: Batch, moment: Moment, **given: Any) -> Step:
        torch.manual_seed(moment.draw)
        return Step(self._setting, batch, progress=moment.progress, epoch=moment.epoch, **given)

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


def _joined(parts: list[Embedded]) -> dict[str, Features]:
    return {name: replay.joined(part.features[name] for part in parts) for name in parts[0].features}


def _longest(parts: list[Embedded]) -> int:
    return max(len(next(iter(part.features.values())).embed) for part in parts)


def _reads_parts(needs: Needs) -> bool:
    return needs.image_tokens or needs.text_tokens or needs.fusion or needs.locals


def _has_parameters(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _same(names: tuple[TermName, ...], before: tuple[TermName, ...] | None) -> tuple[TermName, ...]:
    if before is not None and names != before:
        odd = sorted({name.objective for name in {*before} ^ {*names}} or {name.objective for name in names})
        raise VlcError(
            f"the terms of {' and '.join(odd)} changed from {_spelt(before)} to {_spelt(names)}: an objective returns "
            f"the same terms in every step and on every rank, with a count of zero where there is nothing to count"
        )
    return names


def _spelt(names: tuple[TermName, ...]) -> str:
    return ", ".join(f"{name.objective}/{name.term}" for name in names) or "none"
