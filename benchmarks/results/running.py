"""Cells to results: trains and evaluates with the real command, a few at once, and keeps what is finished."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from benchmarks.results.grid import Cell, Grid

COMMAND = Path(sys.executable).parent / "vlc"


class Failed(Exception):
    """A command of a cell failed."""


@dataclass(frozen=True)
class Place:
    """Where a grid's runs and results are kept, and where its data comes from."""

    work: Path
    data: Path

    @property
    def prepared(self) -> Path:
        """The folder of prepared data."""
        return self.work / "data"

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """What is kept of ``cell``, if it is finished."""
        path = self._result(cell)
        return json.loads(path.read_text()) if path.exists() else None

    def keep(self, cell: Cell, result: dict[str, Any]) -> None:
        """Writes the result of ``cell``, whole or not at all."""
        path = self._result(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(result, indent=1) + "\n")
        partial.replace(path)

    def run(self, cell: Cell) -> Path:
        """The folder of the run; cells that differ in how they are measured share it."""
        return self.work / "runs" / cell.run_digest

    def _result(self, cell: Cell) -> Path:
        return self.work / "cells" / f"{cell.digest}.json"


def run_all(grid: Grid, place: Place, *, jobs: int, most: int | None = None) -> int:
    """Runs what is not finished, ``most`` of it at most; says how many runs failed."""
    cells = grid.cells()
    todo = [cell for cell in cells if place.result(cell) is None]
    print(f"{len(cells) - len(todo)} of {len(cells)} cells are done")
    if not todo:
        return 0
    _prepare(grid, place)
    failed, started = 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_run_group, group, place): group for group in _by_run(todo)[:most]}
        for number, future in enumerate(as_completed(waiting), start=1):
            left = (time.monotonic() - started) / number * (len(waiting) - number) / 60
            try:
                future.result()
                print(f"{number}/{len(waiting)} {waiting[future][0].name}, {left:.0f} minutes left", flush=True)
            except Failed as error:
                failed += 1
                print(f"{number}/{len(waiting)} {waiting[future][0].name} FAILED: {error}", flush=True)
    return failed


def _by_run(cells: list[Cell]) -> list[list[Cell]]:
    """Cells of one run, measured in different ways, together: they follow each other on one thread."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.run_digest, []).append(cell)
    return list(groups.values())


def _prepare(grid: Grid, place: Place) -> None:
    """Makes the data once; the mark is written last."""
    mark = place.prepared / "whole"
    if mark.exists():
        return
    shutil.rmtree(place.prepared, ignore_errors=True)
    place.prepared.mkdir(parents=True)
    module, _, function = grid.prepare.partition(":")
    getattr(importlib.import_module(module), function)(place.data.resolve(), place.prepared.resolve())
    mark.write_text("")


def _run_group(cells: list[Cell], place: Place) -> None:
    for cell in cells:
        place.keep(cell, _run(cell, place))
    shutil.rmtree(place.run(cells[0]) / "checkpoints", ignore_errors=True)


def _run(cell: Cell, place: Place) -> dict[str, Any]:
    run = place.run(cell)
    run.parent.mkdir(parents=True, exist_ok=True)
    recipe = run.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(cell.recipe, sort_keys=False))
    seconds = _seconds_of(run)
    if seconds is None:
        started = time.monotonic()
        _vlc(place, "train", str(recipe), "--set", f"output={run}", "--resume")
        seconds = time.monotonic() - started
        run.with_suffix(".seconds").write_text(str(seconds))
    started = time.monotonic()
    measured = [{"name": name, **evaluator} for name, evaluator in cell.evaluators.items()]
    printed = _vlc(place, "eval", str(run), "--json", "--set", f"evaluate.with={json.dumps(measured)}")
    metrics = {name: result["metrics"] for name, result in json.loads(printed).items()}
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "name": cell.name,
        "metrics": metrics,
        "last_step": steps[-1],
        "seconds": round(seconds + time.monotonic() - started, 1),
        "recipe": cell.recipe,
        "evaluators": cell.evaluators,
    }


def _seconds_of(run: Path) -> float | None:
    """What the run took, if it is finished and its model is there."""
    mark = run.with_suffix(".seconds")
    return float(mark.read_text()) if mark.exists() and (run / "model").is_dir() else None


def _vlc(place: Place, *argv: str) -> str:
    env = os.environ | {"OMP_NUM_THREADS": "1", "RESULTS_DATA": str(place.prepared.resolve())}
    done = subprocess.run([str(COMMAND), *argv], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(f"vlc {argv[0]} ended with {done.returncode}: {said[-1] if said else 'nothing was said'}")
    return done.stdout
