"""What a recipe trains, and what measures it: pretrainer and evaluators."""

from __future__ import annotations

from functools import reduce

import torch
from torch import nn

from vlc_core import options
from vlc_core.assemble.data import Data
from vlc_core.assemble.needs import check_needs, check_tokens
from vlc_core.errors import RecipeError
from vlc_core.interfaces.evaluator import Evaluator
from vlc_core.interfaces.objective import Needs, Objective
from vlc_core.loading.vectors import check_width
from vlc_core.model.learned import model_info
from vlc_core.model.start import Where
from vlc_core.model.towers import Towers
from vlc_core.model.twins import Twins
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.step import Setting
from vlc_core.tokenizer import Tokenizer


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
        check_needs(at, needs[spec.name], recipe, data, info)
        check_tokens(at, needs[spec.name], towers)
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


def build_evaluators(recipe: Recipe, registry: Registry, where: Where = str) -> dict[str, Evaluator]:
    """The recipe's evaluators by name; their data is opened."""
    return {
        spec.name: options.build(registry, "evaluator", spec, where=where(f"evaluate.with.{spec.name}"))
        for spec in recipe.evaluate.with_
    }


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


def _give_scalars_a_dimension(module: nn.Module) -> None:
    """DeepSpeed cannot partition a parameter without dimensions; a method's author need not know that."""
    for parameter in module.parameters():
        if parameter.dim() == 0:
            parameter.data = parameter.data.view(1)


def seed_everything(seed: int) -> None:
    """Seeds torch for the initial weights; all else that is random has a key of its own."""
    torch.manual_seed(seed)
