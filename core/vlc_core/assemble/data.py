"""The training data of a recipe: its sources, how they are drawn, and the batches of one rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from vlc_core import options
from vlc_core.batch import Batch
from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.sampler import Sampler, Source
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.class_names import require_names
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import CLASS_NAME, TrainingSource, share_label_space, walk_texts
from vlc_core.model.start import Where
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer

CAPTIONS_READ = 500_000
"""A tokenizer is trained on this many captions at most: its vocabulary does not change any more."""


@dataclass(frozen=True, slots=True)
class Data:
    """The training data of a run."""

    sources: tuple[TrainingSource, ...]
    classes: tuple[str, ...]
    sampler: Sampler
    transform: Transform

    def captions(self) -> Iterator[str]:
        """The texts that training may draw, classes through their templates first; up to ``CAPTIONS_READ``."""
        yield from islice(chain.from_iterable(walk_texts(self.sources)), CAPTIONS_READ)


def build_data(recipe: Recipe, registry: Registry, where: Where = str) -> Data:
    """Opens the recipe's sources.

    Here and below, ``where`` gives a key of the recipe as messages call it, with its file and line.

    Raises:
        DataError: A source is missing or empty, or has prompts and no class names to put into them.
    """
    opened = [
        TrainingSource(
            spec.name,
            options.build(registry, "dataset", spec, where=where(f"data.train.{spec.name}")),
            CLASS_NAME if spec.prompts is None else options.templates(registry, spec.prompts),
        )
        for spec in recipe.data.train
    ]
    for source in opened:
        if len(source.dataset) == 0:
            raise DataError(f"the source {source.name!r} of data.train holds no sample: check its options")
    for spec, source in zip(recipe.data.train, opened, strict=True):
        if spec.prompts is not None:
            require_names(source.dataset, source=f"the source {source.name!r} of data.train")
    sources, classes = share_label_space(opened, merge=recipe.data.merge_classes)
    sampler = _sampler(recipe, registry, opened, where)
    transform: Transform = options.build(registry, "transform", recipe.data.transform, where=where("data.transform"))
    return Data(sources, classes, sampler, transform)


def _sampler(recipe: Recipe, registry: Registry, opened: Iterable[TrainingSource], where: Where) -> Sampler:
    """The recipe's sampler.

    Raises:
        RecipeError: A source names a share, and the sampler reads none.
    """
    spec, shares = recipe.data.sampler, {source.name: source.share for source in recipe.data.train}
    named = [Source(source.name, source.dataset, shares[source.name]) for source in opened]
    sampler: Sampler = options.build(registry, "sampler", spec, named, recipe.seed, where=where("data.sampler"))
    sharing = next((name for name, share in shares.items() if share is not None), None)
    if sharing is not None and not sampler.reads_shares:
        raise RecipeError(
            f"{where(f'data.train.{sharing}.share')}: the sampler {spec.use} gives shares of its own; leave the share "
            f"out, or set data.sampler to one that reads it, such as weighted"
        )
    return sampler


def build_loader(
    recipe: Recipe,
    data: Data,
    pretrainer: Pretrainer,
    tokenizer: Tokenizer,
    *,
    batch_size: int,
    steps: int,
    start_step: int = 0,
    rank: int = 0,
    world: int = 1,
    pin: bool = False,
) -> Loader[Batch]:
    """The batches of one rank; ``batch_size`` is that rank's."""
    make = BatchMaker(
        sources=data.sources,
        sampler=data.sampler,
        transform=data.transform,
        tokenizer=tokenizer,
        context=pretrainer.towers.text.encoder.context,
        size=pretrainer.towers.image.encoder.size,
        views=pretrainer.views,
        seed=recipe.seed,
        vector_width=pretrainer.towers.image.encoder.vector_width,
    )
    return Loader(
        make=make,
        batch_size=batch_size,
        steps=steps,
        start_step=start_step,
        rank=rank,
        world=world,
        workers=recipe.data.workers,
        pin=pin,
    )


def total_steps(recipe: Recipe, epoch: int) -> int:
    """How many optimizer steps the recipe asks for; whole epochs of ``epoch`` samples are rounded to whole steps."""
    if recipe.train.steps is not None:
        return recipe.train.steps
    assert recipe.train.epochs is not None  # the schema asks for one of the two
    return max(1, round(recipe.train.epochs * epoch / recipe.train.batch_size))
