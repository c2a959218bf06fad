"""From a recipe to the things that run: data, tokenizer, towers, pretrainer, batches, evaluators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vlc_core import options
from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.interfaces.encoder import Encoder, ImageEncoder, TextEncoder
from vlc_core.interfaces.evaluator import Evaluator
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective
from vlc_core.interfaces.sampler import Sampler, Source
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import CLASS_NAME, TrainingSource, share_label_space
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Model, Recipe, Use
from vlc_core.registry import Registry
from vlc_core.temperature import Temperature
from vlc_core.tokenizer import Tokenizer
from vlc_core.towers import ImageTower, TextTower, Towers

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


def build_data(recipe: Recipe, registry: Registry) -> Data:
    """Opens the recipe's sources.

    Raises:
        DataError: A source is missing or empty.
    """
    opened = [
        TrainingSource(
            spec.name,
            options.build(registry, "dataset", spec, where=f"data.train.{spec.name}"),
            CLASS_NAME if spec.prompts is None else options.templates(registry, spec.prompts),
        )
        for spec in recipe.data.train
    ]
    for source in opened:
        if len(source.dataset) == 0:
            raise DataError(f"the source {source.name!r} of data.train holds no sample: check its options")
    sources, classes = share_label_space(opened)
    plain = [Source(source.name, source.dataset) for source in sources]
    sampler: Sampler = options.build(registry, "sampler", recipe.data.sampler, plain, recipe.seed)
    transform: Transform = options.build(registry, "transform", recipe.data.transform)
    return Data(sources, classes, sampler, transform)


def build_tokenizer(model: Model, registry: Registry, captions: Callable[[], Iterable[str]]) -> Tokenizer:
    """The tokenizer that the recipe names, or else the text encoder's own choice."""
    spec = model.tokenizer
    if spec is None:
        encoder: type[TextEncoder] = registry.find("text_encoder", model.text.use).load()
        spec = Use(use=encoder.default_tokenizer)
    tokenizer: Tokenizer = options.build(registry, "tokenizer", spec).make(captions)
    return tokenizer


def build_towers(model: Model, registry: Registry, tokenizer: Tokenizer) -> Towers:
    """Both towers and the temperature, freshly initialised from torch's generator."""
    image: ImageEncoder = options.build(registry, "image_encoder", model.image)
    text: TextEncoder = options.build(registry, "text_encoder", model.text, tokenizer.vocabulary)
    temperature = Temperature(**model.temperature.model_dump())
    return Towers(ImageTower(image, model.embed_dim), TextTower(text, model.embed_dim), temperature)


def build_pretrainer(
    recipe: Recipe, registry: Registry, towers: Towers, tokenizer: Tokenizer, data: Data
) -> Pretrainer:
    """The module to train.

    Raises:
        RecipeError: An objective needs what the encoders or the data do not give.
    """
    image, text = towers.image.encoder, towers.text.encoder
    info = ModelInfo(recipe.model.embed_dim, image.width, text.width, tokenizer.vocabulary, data.classes)
    objectives: dict[str, Objective] = {}
    needs: dict[str, Needs] = {}
    for spec in recipe.objectives:
        objectives[spec.name] = options.build(registry, "objective", spec, info)
        needs[spec.name] = type(objectives[spec.name]).requires(spec.options)
        _check_needs(spec.name, needs[spec.name], data)
    merged = reduce(Needs.merge, needs.values())
    _offer_tokens(image, merged.image_tokens)
    _offer_tokens(text, merged.text_tokens)
    pretrainer = Pretrainer(towers, objectives, {spec.name: spec.weight for spec in recipe.objectives}, needs)
    _give_scalars_a_dimension(pretrainer)
    return pretrainer


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
        views=pretrainer.needs.views,
        seed=recipe.seed,
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


def build_evaluators(recipe: Recipe, registry: Registry) -> dict[str, Evaluator]:
    """The recipe's evaluators by name; their data is opened."""
    return {spec.name: options.build(registry, "evaluator", spec) for spec in recipe.evaluate.with_}


def total_steps(recipe: Recipe, epoch: int) -> int:
    """How many optimizer steps the recipe asks for; whole epochs of ``epoch`` samples are rounded to whole steps."""
    if recipe.train.steps is not None:
        return recipe.train.steps
    assert recipe.train.epochs is not None  # the schema asks for one of the two
    return max(1, round(recipe.train.epochs * epoch / recipe.train.batch_size))


WEIGHTS = "weights.safetensors"
MODEL = "model.json"


def model_files(model: Model, towers: dict[str, Tensor], tokenizer: Tokenizer, folder: Path) -> dict[str, bytes]:
    """The files of a ``model/`` folder, by name: weights, the recipe's model section, the tokenizer."""
    tokenizer.save(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {**files, WEIGHTS: save(towers), MODEL: model.model_dump_json(indent=2).encode()}


def load_towers(path: Path) -> tuple[Towers, Tokenizer]:
    """Reads a run's model from its folder, or from the ``model`` folder itself.

    Raises:
        StorageError: There is none, or its files do not fit together.
    """
    from vlc_core.plugins import plugins

    folder = path if (path / MODEL).is_file() else path / "model"
    if not (folder / MODEL).is_file():
        raise StorageError(f"{path} holds no model: give a run folder (with model/ in it), or its model folder")
    try:
        model = Model.model_validate_json((folder / MODEL).read_bytes())
        tokenizer = Tokenizer.load(folder)
        towers = build_towers(model, plugins().registry, tokenizer)
        _offer_tokens(towers.image.encoder, False)
        _offer_tokens(towers.text.encoder, False)
        towers.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise StorageError(f"the model in {folder} cannot be loaded: {error}") from error
    return towers, tokenizer


def parameter_counts(module: nn.Module) -> dict[str, int]:
    """Parameters by part: each tower, the temperature, and each objective that has any."""
    counts: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        part = ".".join(name.split(".")[:2])
        size: int = getattr(parameter, "ds_numel", parameter.numel())
        counts[part] = counts.get(part, 0) + size
    return counts


def _check_needs(name: str, needs: Needs, data: Data) -> None:
    if needs.labels and not data.classes:
        raise RecipeError(f"objectives.{name} needs class labels, and no source of data.train has classes")


def _offer_tokens(encoder: Encoder, wanted: bool) -> None:
    encoder.returns_tokens = wanted


def _give_scalars_a_dimension(module: nn.Module) -> None:
    """DeepSpeed cannot partition a parameter without dimensions; a method's author need not know that."""
    for parameter in module.parameters():
        if parameter.dim() == 0:
            parameter.data = parameter.data.view(1)


def seed_everything(seed: int) -> None:
    """Seeds torch for the initial weights; all else that is random has a key of its own."""
    torch.manual_seed(seed)
