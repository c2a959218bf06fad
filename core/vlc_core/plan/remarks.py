"""What a recipe may do and had better not: told by ``vlc check`` as warnings."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vlc_core.assemble import Data
from vlc_core.interfaces.encoder import TextEncoder
from vlc_core.model.start import Where
from vlc_core.plan.positives import share_alone
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Recipe
from vlc_core.replay import norms_with_statistics, statistics_kept

QUEUE_SHARE = 0.25
"""A queue that holds more of the data than this holds an old copy of almost every sample that is drawn."""

ALONE_SHARE = 0.5
"""Where more labelled samples than this have no other of their class in a batch, their labels do little."""


def remarks(recipe: Recipe, model: Pretrainer, data: Data, where: Where = str) -> Iterator[str]:
    """One sentence for each.

    Args:
        recipe: The recipe.
        model: What it trains.
        data: What it trains on.
        where: Gives a key of the recipe as messages call it.
    """
    yield from _queue(recipe, model, data.sampler.epoch, where)
    yield from _positives(recipe, model, data, where)
    yield from _text_draws(recipe, model, where)


def _queue(recipe: Recipe, model: Pretrainer, epoch: int, where: Where) -> Iterator[str]:
    momentum = recipe.model.momentum
    if model.needs.queue and momentum.queue > QUEUE_SHARE * epoch:
        yield (
            f"{where('model.momentum.queue')}: {momentum.queue:,} features are more than a quarter of the {epoch:,} "
            f"samples of an epoch, so a sample often meets its own old copies, which are no negatives: keep at most "
            f"{int(QUEUE_SHARE * epoch):,}"
        )


def _positives(recipe: Recipe, model: Pretrainer, data: Data, where: Where) -> Iterator[str]:
    if not model.needs.positives:
        return
    alone = share_alone(data, recipe.train.batch_size)
    if alone is not None and alone > ALONE_SHARE:
        name = next(spec.name for spec in recipe.objectives if model.needs_of[spec.name].positives)
        yield (
            f"{where('train.batch_size')}: {alone:.0%} of labelled samples meet no other of their class in a batch of "
            f"{recipe.train.batch_size:,}, so labels add little to {name}: take larger batches, or a sampler that "
            f"brings classes together"
        )


def _text_draws(recipe: Recipe, model: Pretrainer, where: Where) -> Iterator[str]:
    momentum = recipe.model.momentum
    if not model.needs.text_draws:
        return
    comparing = next(spec.name for spec in recipe.objectives if model.needs_of[spec.name].text_draws)
    if "text" not in momentum.twin_dropout:
        yield (
            f"{where('model.momentum.twin_dropout')}: {comparing} compares two draws of dropout of a text, and the "
            f"text twin draws none: add text"
        )
    elif not draws(model.towers.text.encoder):
        yield (
            f"{where('model.text')}: {comparing} compares two draws of dropout of a text, and the text encoder has "
            f"no dropout, so both are the same: give it some, such as dropout: 0.1"
        )


@torch.no_grad()
def draws(encoder: TextEncoder) -> bool:
    """Whether the encoder gives a text another summary each time in training."""
    training = encoder.training
    tokens = torch.zeros(1, 3, dtype=torch.int64)
    with torch.random.fork_rng(devices=[]), statistics_kept(norms_with_statistics(encoder)):
        torch.manual_seed(0)
        one, other = (encoder.train()(tokens, tokens == 0).summary for _ in range(2))
    encoder.train(training)
    return not torch.equal(one, other)
