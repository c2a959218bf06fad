"""From a recipe to the things that run: data, tokenizer, towers, pretrainer, batches, evaluators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice

import torch
from torch import nn

from vlc_core import options
from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import FusionEncoder, ImageEncoder, TextEncoder
from vlc_core.interfaces.evaluator import Evaluator
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective
from vlc_core.interfaces.sampler import Sampler, Source
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import CLASS_NAME, TrainingSource, share_label_space
from vlc_core.loading.vectors import check_width
from vlc_core.model.depth import freeze
from vlc_core.model.heads import make_head, shared_width
from vlc_core.model.learned import model_info
from vlc_core.model.start import Where, tokenizer_home
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.model.twins import Twins
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Model, Recipe, Use
from vlc_core.registry import Registry
from vlc_core.step import Setting
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
        yield from islice(self._captions(), CAPTIONS_READ)

    def _captions(self) -> Iterator[str]:
        for source in self.sources:
            for name in source.dataset.classes or ():
                yield from (template.replace("{}", name) for template in source.prompts)
        for source in self.sources:
            for index in range(len(source.dataset)):
                try:
                    yield from source.dataset.texts(index)
                except DataError:
                    continue  # it is counted when training draws it


def build_data(recipe: Recipe, registry: Registry, where: Where = str) -> Data:
    """Opens the recipe's sources.

    Here and below, ``where`` gives a key of the recipe as messages call it, with its file and line.

    Raises:
        DataError: A source is missing or empty.
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


def build_tokenizer(
    model: Model, registry: Registry, captions: Callable[[], Iterable[str]], where: Where = str
) -> Tokenizer:
    """The tokenizer of the weights that the text tower starts from, or the recipe's, or the encoder's own choice.

    Raises:
        RecipeError: The recipe names another one than the run that it starts from has.
    """
    home = tokenizer_home(model, where)
    if home is not None:
        return Tokenizer.load(home)
    spec = model.tokenizer
    if spec is None:
        encoder: type[TextEncoder] = registry.find("text_encoder", model.text.use).load()
        spec = Use.model_validate(dict(encoder.own_tokenizer(model.text.options)))
    tokenizer: Tokenizer = options.build(registry, "tokenizer", spec, where=where("model.tokenizer")).make(captions)
    return tokenizer


def build_towers(model: Model, registry: Registry, tokenizer: Tokenizer, where: Where = str) -> Towers:
    """Both towers and the temperature, freshly initialised from torch's generator; what is frozen is marked.

    Raises:
        RecipeError: An encoder refuses its options, or does not fit its head or ``freeze``.
    """
    image: ImageEncoder = options.build(registry, "image_encoder", model.image, where=where("model.image"))
    text: TextEncoder = options.build(
        registry, "text_encoder", model.text, tokenizer.vocabulary, where=where("model.text")
    )
    size = shared_width(model, image.width, text.width)
    temperature = Temperature(**model.temperature.model_dump())
    heads = [
        make_head(spec.head, encoder.width, size, where(f"model.{side}.head"))
        for side, spec, encoder in (("image", model.image, image), ("text", model.text, text))
    ]
    fusion: FusionEncoder | None = None
    if model.fusion is not None:
        given = (text.width, image.width)
        fusion = options.build(registry, "fusion_encoder", model.fusion, *given, where=where("model.fusion"))
    towers = Towers(ImageTower(image, size, heads[0]), TextTower(text, size, heads[1]), temperature, fusion)
    for side, spec, tower in (("image", model.image, towers.image), ("text", model.text, towers.text)):
        try:
            freeze(tower, spec.freeze)
        except RecipeError as error:
            raise RecipeError(f"{where(f'model.{side}.freeze')}: {error}") from error
    return towers


def build_pretrainer(
    recipe: Recipe, registry: Registry, towers: Towers, tokenizer: Tokenizer, data: Data, where: Where = str
) -> Pretrainer:
    """The module to train.

    Raises:
        RecipeError: An objective needs what the encoders or the data do not give, or both towers are frozen.
    """
    if not any(p.requires_grad for tower in (towers.image, towers.text) for p in tower.parameters()):
        raise RecipeError(f"{where('model.text.freeze')}: both towers are frozen as a whole, so there is none to train")
    for source in data.sources:
        at, width = where(f"data.train.{source.name}"), towers.image.encoder.vector_width
        check_width(source.dataset, width, data=at, encoder=f"the image encoder {recipe.model.image.use}")
    momentum = recipe.model.momentum
    info = model_info(towers, tokenizer, data.classes, momentum=momentum.decay, queue=momentum.queue)
    objectives: dict[str, Objective] = {}
    needs: dict[str, Needs] = {}
    for spec in recipe.objectives:
        at = where(f"objectives.{spec.name}")
        kind: type[Objective] = registry.find("objective", spec.use).load()
        needs[spec.name] = kind.requires(spec.options)
        _check_needs(at, needs[spec.name], recipe, data, info)
        _check_tokens(at, needs[spec.name], towers)
        objectives[spec.name] = options.build(registry, "objective", spec, info, where=at)
    setting = _setting(recipe, towers, tokenizer, reduce(Needs.merge, needs.values()))
    pretrainer = Pretrainer(setting, objectives, {spec.name: spec.weight for spec in recipe.objectives}, needs)
    _give_scalars_a_dimension(pretrainer)
    return pretrainer


def _setting(recipe: Recipe, towers: Towers, tokenizer: Tokenizer, needs: Needs) -> Setting:
    """What every step shares; the encoders are told whether anybody reads their tokens."""
    towers.image.encoder.returns_tokens = needs.image_tokens or needs.fusion
    towers.text.encoder.returns_tokens = needs.text_tokens or needs.fusion
    momentum = recipe.model.momentum
    twins = None
    if needs.momentum:
        queue = momentum.queue if needs.queue else 0
        twins = Twins(towers, needs, momentum=momentum.decay, queue=queue, draws=momentum.twin_dropout)
    return Setting(towers, needs, twins, recipe.seed, momentum.view, tokenizer.vocabulary)


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
) -> Loader:
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


def build_evaluators(recipe: Recipe, registry: Registry, where: Where = str) -> dict[str, Evaluator]:
    """The recipe's evaluators by name; their data is opened."""
    return {
        spec.name: options.build(registry, "evaluator", spec, where=where(f"evaluate.with.{spec.name}"))
        for spec in recipe.evaluate.with_
    }


def total_steps(recipe: Recipe, epoch: int) -> int:
    """How many optimizer steps the recipe asks for; whole epochs of ``epoch`` samples are rounded to whole steps."""
    if recipe.train.steps is not None:
        return recipe.train.steps
    assert recipe.train.epochs is not None  # the schema asks for one of the two
    return max(1, round(recipe.train.epochs * epoch / recipe.train.batch_size))


def parameter_counts(module: nn.Module, *, trained: bool = False) -> dict[str, int]:
    """Parameters by part: each tower, the temperature, and each objective that has any; or the ``trained`` ones."""
    counts: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        if trained and not parameter.requires_grad:
            continue
        part = ".".join(name.split(".")[:2])
        size: int = getattr(parameter, "ds_numel", parameter.numel())
        counts[part] = counts.get(part, 0) + size
    return counts


def _check_needs(at: str, needs: Needs, recipe: Recipe, data: Data, info: ModelInfo) -> None:
    """Refuses what an objective needs and the recipe does not give."""
    if needs.labels and not data.classes:
        raise RecipeError(f"{at} needs class labels, and no source of data.train has classes")
    if needs.fusion and info.fusion_width is None:
        raise RecipeError(f"{at} reads texts and images together: name a fusion encoder, model.fusion")
    if needs.masking and info.vocabulary.mask is None:
        raise RecipeError(f"{at} hides tokens, and the tokenizer has no mask token: choose one that has")
    if needs.queue and 0 < info.queue < recipe.train.batch_size:
        raise RecipeError(
            f"{at} reads a queue of {info.queue} features, which a batch of {recipe.train.batch_size} would overrun: "
            f"set model.momentum.queue to 0 or to at least the batch size"
        )


def _check_tokens(at: str, needs: Needs, towers: Towers) -> None:
    """Refuses an objective that reads patches or words of an encoder that gives none."""
    anyway = needs.fusion or needs.locals
    for side, tower, read in (
        ("image", towers.image, anyway or needs.image_tokens),
        ("text", towers.text, anyway or needs.text_tokens),
    ):
        if read and not tower.encoder.gives_tokens:
            parts = "patches" if side == "image" else "words"
            raise RecipeError(
                f"{at} reads {parts} one by one, and the {side} encoder has one vector for the whole: "
                f"choose another model.{side}"
            )


def _give_scalars_a_dimension(module: nn.Module) -> None:
    """DeepSpeed cannot partition a parameter without dimensions; a method's author need not know that."""
    for parameter in module.parameters():
        if parameter.dim() == 0:
            parameter.data = parameter.data.view(1)


def seed_everything(seed: int) -> None:
    """Seeds torch for the initial weights; all else that is random has a key of its own."""
    torch.manual_seed(seed)
