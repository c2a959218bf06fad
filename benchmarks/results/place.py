"""Where a grid's runs and results lie, and the commands that are run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results.grid import Cell, Stage

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

    def run(self, cell: Cell, stage: Stage | None = None) -> Path:
        """The folder of the run, or of one of its stages; cells that differ in how they are measured share it."""
        return self.work / "runs" / (cell.run_digest if stage is None else cell.stage_digest(stage))

    def call(self, *argv: str) -> str:
        """What a command prints, on one thread; ``vlc`` and ``python`` are those of this installation.

        Raises:
            Failed: It ended with another code than 0.
        """
        env = os.environ | {"OMP_NUM_THREADS": "1", "RESULTS_DATA": str(self.prepared.resolve())}
        program = {"vlc": str(COMMAND), "python": sys.executable}.get(argv[0], argv[0])
        done = subprocess.run([program, *argv[1:]], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise Failed(
                f"{' '.join(argv[:2])} ended with {done.returncode}: {said[-1] if said else 'nothing was said'}"
            )
        return done.stdout

    def _result(self, cell: Cell) -> Path:
        return self.work / "cells" / f"{cell.digest}.json"
