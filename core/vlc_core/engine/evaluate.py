"""Evaluations: of a model in training, through its engine, and of a finished run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from vlc_core import options
from vlc_core.engine.environment import trained_classes
from vlc_core.engine.folder import RunFolder
from vlc_core.errors import RecipeError, StorageError
from vlc_core.inference import Inference
from vlc_core.inference.judges import Judges, check_fusion, checked
from vlc_core.interfaces.evaluator import Evaluation, Evaluator
from vlc_core.interfaces.objective import Objective
from vlc_core.model.judging import Look, Pairs
from vlc_core.nearest import did_you_mean
from vlc_core.options.use import Use
from vlc_core.phases import Phase
from vlc_core.plan.unknown_classes import unknown_classes
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe import LoadedRecipe, load_recipe
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer

if TYPE_CHECKING:
    from vlc_core.plugins import Plugins

log = logging.getLogger("vlc")


@final
class EngineJudges(Judges):
    """The objectives of a model in training, asked through its engine."""

    def __init__(self, engine: Any, model: Pretrainer) -> None:
        self._engine, self._model = engine, model

    def find(self, name: str) -> Objective:
        check_fusion(self._model.towers)
        objectives = dict(self._model.objectives.items())
        found = objectives.get(name)
        assert found is None or isinstance(found, Objective)
        return checked(name, found, objectives)

    def run(self, name: str, pairs: Pairs, look: Look | None = None) -> Tensor:
        result: Tensor = self._engine(Phase.JUDGE, name, pairs.to(self._engine.device), look)
        return result


def evaluate_engine(
    engine: Any, model: Pretrainer, tokenizer: Tokenizer, evaluators: Mapping[str, Evaluator]
) -> dict[str, Evaluation]:
    """Runs evaluators on a model in training; every rank calls this and encodes its share."""
    engine.eval()
    try:
        with torch.no_grad():
            scale = engine(Phase.SCALE).item()
        inference = Inference(
            lambda pixels: engine(Phase.IMAGE, pixels.to(engine.device)),
            lambda tokens, mask: engine(Phase.TEXT, tokens.to(engine.device), mask.to(engine.device)).embed,
            tokenizer,
            size=model.towers.image.encoder.size,
            vector_width=model.towers.image.encoder.vector_width,
            context=model.towers.text.encoder.context,
            scale=scale,
            judges=EngineJudges(engine, model),
        )
        return {name: evaluator.evaluate(inference) for name, evaluator in evaluators.items()}
    finally:
        engine.train()


def evaluate_run(
    run_folder: Path,
    plugins: Plugins,
    *,
    names: Sequence[str] = (),
    sets: Sequence[str] = (),
    against: Sequence[Path] = (),
    device: str | torch.device | None = None,
) -> dict[str, Evaluation]:
    """Runs evaluators on a finished run and writes ``evaluations/NAME.json``.

    Classes that are measured on and were no label of the training data are told by a warning of the logger ``vlc``.

    Args:
        run_folder: Of the run.
        plugins: The loaded plugins.
        names: Which evaluators: those of the run's recipe by name, or any other that a plugin offers. All of the
            recipe's where none is named.
        sets: ``KEY=VALUE`` on the run's recipe, ``evaluate.with.NAME.OPTION=VALUE`` among them.
        against: Other runs, which the evaluators that have an option of this name show beside this one.
        device: Where to run; CUDA where there is one.

    Raises:
        StorageError: ``run_folder`` holds no run.
        RecipeError: A name or an option is unknown, or no evaluator shows another run beside this one.
        DataError: The data of an evaluator is missing.
    """
    folder = RunFolder(run_folder)
    if not folder.recipe.is_file():
        raise StorageError(f"{run_folder} is not a run: it has no recipe.yaml; give the folder that vlc train wrote to")
    loaded = load_recipe(str(folder.recipe), sets=list(sets), registry=plugins.registry)
    evaluators = _chosen(loaded, names, against, plugins.registry)
    for sentence in unknown_classes(evaluators, trained_classes(folder.environment)):
        log.warning(sentence)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device is None else device
    inference = Inference.load(run_folder, device=device)
    results = {}
    for name, evaluator in evaluators.items():
        results[name] = evaluator.evaluate(inference)
        folder.write_evaluation(name, results[name], step=-1)
    return results


def _chosen(
    loaded: LoadedRecipe, names: Sequence[str], against: Sequence[Path], registry: Registry
) -> dict[str, Evaluator]:
    """The evaluators of ``names``: the recipe's own first, else one that a plugin offers, without options."""
    own = {spec.name: spec for spec in loaded.recipe.evaluate.with_}
    if not names and not own:
        raise RecipeError("the run's recipe names no evaluator: say which with --with NAME (vlc list-plugins)")
    offered = {entry.name for entry in registry.entries("evaluator")}
    unknown = [name for name in names if name not in own and name.rpartition("/")[2] not in offered]
    if unknown:
        known = sorted({*own, *offered})
        hint = did_you_mean(unknown[0], known) or ";"
        raise RecipeError(f"--with {unknown[0]}: no evaluator is called that{hint} known are {', '.join(known)}")
    specs: Mapping[str, Use] = {name: own.get(name, Use(use=name)) for name in names} or own
    if against:
        specs = _beside(specs, against, registry)
    places = {name: f"evaluate.with.{name}" if name in own else _unsaid(name) for name in specs}
    return {name: options.build(registry, "evaluator", spec, where=places[name]) for name, spec in specs.items()}


def _unsaid(name: str) -> str:
    """What messages call an evaluator that the recipe does not name, and where its options go."""
    return (
        f"--with {name}, which the run's recipe does not name (its options go into "
        f"--set 'evaluate.with.{name}={{use: {name}, data: …}}')"
    )


def _beside(specs: Mapping[str, Use], against: Sequence[Path], registry: Registry) -> dict[str, Use]:
    """``specs`` with other runs as the option ``against`` of those that have it."""
    runs = [str(run.absolute()) for run in against]
    able = {
        name
        for name, spec in specs.items()
        if any(option.name == "against" for option in options.describe(registry.find("evaluator", spec.use).load()))
    }
    if not able:
        raise RecipeError(
            f"--against: {', '.join(specs)} cannot show another run beside this one; retrieval, "
            "multilingual-retrieval, concept-retrieval and embedding-map can"
        )
    value = runs[0] if len(runs) == 1 else runs
    return {name: spec.model_copy(update={"against": value}) if name in able else spec for name, spec in specs.items()}
