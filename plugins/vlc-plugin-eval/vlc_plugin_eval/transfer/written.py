"""Where results go."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from vlc_core.errors import RecipeError, StorageError
from vlc_core.interfaces.evaluator import Evaluation

NAME = "transfer"
JOURNAL = f"{NAME}/settings.jsonl"


def place(run: Path, output: Path | None) -> Path:
    """The folder for results: ``output``, or that of the run's evaluations.

    Raises:
        RecipeError: Neither is there: a model folder alone is not written to.
    """
    if output is not None:
        return output
    if not (run / "recipe.yaml").is_file() and (run / "model.json").is_file():
        raise RecipeError(f"{run} is a model folder, which nothing is written to: say where results go with -o DIR")
    return run / "evaluations"


def write(folder: Path, evaluation: Evaluation) -> Path:
    """Writes ``transfer.json`` as the evaluations of a run are written; it appears whole.

    Raises:
        StorageError: It cannot be written.
    """
    path = folder / f"{NAME}.json"
    beside = path.with_name(f".{path.name}.partial")
    record = {"name": NAME, "step": -1, **asdict(evaluation)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error}): make room, or use -o DIR") from error
    return path
