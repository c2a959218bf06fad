"""A cell to its result: training, the stages that follow, and evaluation, by the real commands.

What is trained last is measured by the command that trains it: another start would cost as much as many of the
measurements. A cell whose run is already trained, by a cell that measures other things, is measured by ``vlc eval``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from benchmarks.results.grid import Cell, Stage, Tree
from benchmarks.results.place import Place

Metrics = dict[str, dict[str, float]]


def run_cell(cell: Cell, place: Place) -> dict[str, Any]:
    """Trains what is not trained yet, and measures; what is trained stays, its checkpoints included."""
    run, last = place.run(cell), [None, *(stage for stage in cell.stages if stage.recipe is not None)][-1]
    seconds, metrics = _train(cell.recipe, run, place, {} if last else cell.evaluators)
    for stage in cell.stages:
        names = {"RUN": str(run), "SEED": str(cell.recipe["seed"])}
        if stage.recipe is None:
            started = time.monotonic()
            metrics[stage.name] = _commands(stage, names, place)
            seconds += time.monotonic() - started
        else:
            run, recipe = place.run(cell, stage), filled(stage.recipe, names) | {"seed": cell.recipe["seed"]}
            took, found = _train(recipe, run, place, cell.evaluators if stage is last else {})
            seconds, metrics = seconds + took, metrics | found
    started = time.monotonic()
    metrics |= _evaluate({name: one for name, one in cell.evaluators.items() if name not in metrics}, run, place)
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "name": cell.name,
        "metrics": metrics,
        "last_step": steps[-1],
        "seconds": round(seconds + time.monotonic() - started, 1),
        "recipe": cell.recipe,
        "evaluators": cell.evaluators,
        "stages": [asdict(stage) for stage in cell.stages],
    }


def tidy(cell: Cell, place: Place) -> None:
    """Removes the checkpoints of what ``cell`` trained; models stay."""
    trained = [None, *(stage for stage in cell.stages if stage.recipe is not None)]
    for stage in trained:
        shutil.rmtree(place.run(cell, stage) / "checkpoints", ignore_errors=True)


def filled(said: Any, names: dict[str, str]) -> Any:
    """``said`` with ``${NAME}`` replaced in every text of it, for each of ``names``; others are left."""
    if isinstance(said, dict):
        return {key: filled(value, names) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [filled(value, names) for value in said]
    if isinstance(said, str):
        for name, value in names.items():
            said = said.replace(f"${{{name}}}", value)
    return said


def _train(recipe: Tree, run: Path, place: Place, evaluators: Tree) -> tuple[float, Metrics]:
    """Trains into ``run`` and measures, unless it is trained; says how long that took, and what was measured now.

    What a run was measured by before is not read again: the grid may have changed since.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    path = run.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    mark = run.with_suffix(".seconds")
    if mark.exists() and (run / "model").is_dir():
        return float(mark.read_text()), {}
    started = time.monotonic()
    place.call("vlc", "train", str(path), "--set", f"output={run}", "--resume", *_measuring(evaluators))
    seconds = time.monotonic() - started
    mark.write_text(str(seconds))
    files = {name: run / "evaluations" / f"{name}.json" for name in evaluators}
    return seconds, {name: json.loads(file.read_text())["metrics"] for name, file in files.items()}


def _commands(stage: Stage, names: dict[str, str], place: Place) -> dict[str, float]:
    """What the last of a stage's commands measured."""
    printed = ""
    with tempfile.TemporaryDirectory(dir=place.work) as out:
        for command in stage.commands:
            printed = place.call(*filled(command, names | {"OUT": out}))
    metrics: dict[str, float] = json.loads(printed)
    return metrics


def _evaluate(evaluators: Tree, run: Path, place: Place) -> Metrics:
    if not evaluators:
        return {}
    printed = place.call("vlc", "eval", str(run), "--json", *_measuring(evaluators))
    return {name: result["metrics"] for name, result in json.loads(printed).items()}


def _measuring(evaluators: Tree) -> list[str]:
    named = [{"name": name, **evaluator} for name, evaluator in evaluators.items()]
    return ["--set", f"evaluate.with={json.dumps(named)}"]
