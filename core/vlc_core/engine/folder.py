"""The run folder: what is in it, who may write to it, and how a run ends in it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vlc_core.engine.lines import unwritable
from vlc_core.engine.run import Outcome
from vlc_core.errors import RecipeError, StorageError

if TYPE_CHECKING:
    from vlc_core.interfaces.evaluator import Evaluation

LOCK = ".lock"


class RunFolder:
    """``recipe.yaml`` · ``environment.json`` · ``metrics.jsonl`` · ``checkpoints/`` · ``model/`` · ``evaluations/`` ·
    ``skipped.jsonl`` · ``skipped_steps.jsonl`` · ``exit.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.skipped = path / "skipped.jsonl"
        self.skipped_steps = path / "skipped_steps.jsonl"
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
        if self.path.is_dir() and not self.recipe.exists() and self._content():
            raise RecipeError(
                f"output: {self.path} is not empty and holds no run: choose another folder with --set output=…"
            )
        existing = next(parent for parent in (self.path, *self.path.absolute().parents) if parent.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise StorageError(f"output: {existing} cannot be written: choose another folder with --set output=…")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder and keeps every other run out of it until the end of the block, or of this process.

        Raises:
            RecipeError: Another run is writing to it.
            StorageError: It cannot be made.
        """
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = _locked(self.path)
        except OSError as error:
            raise StorageError(f"output: {self.path} cannot be made: {error.strerror or error}") from error
        with file:
            try:
                yield
            finally:
                (self.path / LOCK).unlink(missing_ok=True)
                with suppress(OSError):  # one that is not empty stays, as it should
                    for path in missing:
                        path.rmdir()

    def remove(self) -> None:
        """Takes the content away again, of a run that never took a step."""
        for path in self._content():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """What the run runs with."""
        self._write(self.environment.name, environment)

    def write_exit(self, outcome: Outcome) -> None:
        """How the run ended."""
        record = asdict(outcome) | {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        del record["evaluations"]
        self._write("exit.json", record)

    def write_evaluation(self, name: str, evaluation: Evaluation, *, step: int) -> Path:
        """The result of an evaluator, ``metrics`` flat; its figures are files in a folder of its name beside it."""
        figures = {figure: f"{name}/{figure}" for figure in evaluation.figures}
        for figure, content in evaluation.figures.items():
            self._write_text(f"evaluations/{figures[figure]}", content)
        record = {"name": name, "step": step, **asdict(replace(evaluation, figures={})), "figures": figures}
        return self._write(f"evaluations/{name}.json", record)

    def _content(self) -> list[Path]:
        return [path for path in self.path.iterdir() if path.name != LOCK]

    def _write(self, name: str, record: Mapping[str, Any]) -> Path:
        return self._write_text(name, json.dumps(record, indent=2, default=str) + "\n")

    def _write_text(self, name: str, text: str) -> Path:
        path = self.path / name
        beside = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise unwritable(path, error) from error
        return path


def _locked(folder: Path) -> TextIO:
    """The folder's lock, held: the death of this process frees it, and forked data workers do not inherit it."""
    while True:
        file = (folder / LOCK).open("a+")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino != (folder / LOCK).stat().st_ino:
                raise FileNotFoundError  # its last holder has just removed it
        except FileNotFoundError:
            file.close()
            continue
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            by = file.read().strip() or "another process"
            file.close()
            raise RecipeError(
                f"output: {folder} is being written by another run ({by}): wait for its end, or choose another folder "
                f"with --set output=…"
            ) from error
        except OSError:
            return file  # a file system without locks; that it holds no other run has been checked
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        return file
