"""The run folder: what is in it, who may write to it, and how a run ends in it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlc_core.batch import Skipped
from vlc_core.engine.run import Outcome
from vlc_core.errors import RecipeError, StorageError

if TYPE_CHECKING:
    from vlc_core.interfaces.evaluator import Evaluation
    from vlc_core.plugins import Plugins

_PACKAGES = ("vlc-core", "torch", "deepspeed", "numpy", "pillow", "tokenizers", "safetensors", "transformers")


class RunFolder:
    """``recipe.yaml`` · ``environment.json`` · ``metrics.jsonl`` · ``checkpoints/`` · ``model/`` · ``evaluations/`` ·
    ``skipped.jsonl`` · ``exit.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"
        self.evaluations = path / "evaluations"

    def check(self, *, resume: bool) -> None:
        """Refuses a folder that this run may not write to, before anything is made.

        Raises:
            RecipeError: It holds another run.
            StorageError: It cannot be written.
        """
        if self.recipe.exists() and not resume:
            raise RecipeError(
                f"output: {self.path} holds another run: add --resume to go on with it, or choose another folder with "
                f"--set output=…"
            )
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(f"output: {self.path} is a file: choose a folder with --set output=…")
        if self.path.is_dir() and not resume and any(self.path.iterdir()):
            raise RecipeError(f"output: {self.path} is not empty: choose another folder with --set output=…")
        existing = next(parent for parent in (self.path, *self.path.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK):
            raise StorageError(f"output: {existing} cannot be written: choose another folder with --set output=…")

    def make(self) -> None:
        """Makes the folder.

        Raises:
            StorageError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"output: {self.path} cannot be made: {error.strerror}") from error

    def remove(self) -> None:
        """Takes the folder away again, of a run that never took a step."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write_environment(self, plugins: Plugins, world: int, device: str) -> None:
        """What ran where: versions, plugins, machine."""
        self._write(
            "environment.json",
            {
                "packages": {name: _version(name) for name in _PACKAGES},
                "plugins": {status.name: status.version for status in plugins.status},
                "python": platform.python_version(),
                "platform": platform.platform(),
                "cpus": os.cpu_count(),
                "device": device,
                "world": world,
                "command": sys.argv,
            },
        )

    def write_exit(self, outcome: Outcome) -> None:
        """How the run ended."""
        record = asdict(outcome) | {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        del record["evaluations"]
        self._write("exit.json", record)

    def write_evaluation(self, name: str, evaluation: Evaluation, *, step: int) -> Path:
        """The result of an evaluator, ``metrics`` flat."""
        return self._write(f"evaluations/{name}.json", {"name": name, "step": step, **asdict(evaluation)})

    def append_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Lists samples that could not be used; every rank appends to the same file."""
        if skipped:
            with (self.path / "skipped.jsonl").open("a") as file:
                file.writelines(json.dumps(one._asdict()) + "\n" for one in skipped)

    def _write(self, name: str, record: Mapping[str, Any]) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.partial")
        beside.write_text(json.dumps(record, indent=2, default=str) + "\n")
        beside.replace(path)
        return path


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
