"""The real command on tiny recipes: what every test here shares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).parent / "vlc"
TIMEOUT = 120

TINY = """\
name: tiny
seed: 3
model:
  image: {use: vit, size: 8, patch: 4, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 12}
  tokenizer: {use: word}
  embed_dim: 16
objectives: [{use: clip}]
data:
  train: [{use: digits, split: train, prompts: digits}]
train:
  steps: 6
  batch_size: 16
  optimizer: {lr: 1e-2}
  schedule: {use: cosine, warmup: 2}
evaluate:
  with:
    - {use: zero-shot, data: {use: digits, split: test}, prompts: digits}
    - {use: retrieval, data: {use: digits, split: test}, prompts: digits}
checkpoint: {every: 3}
output: run
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def well(self) -> Ended:
        """Itself, if it ended with 0 and had nothing to complain about."""
        assert self.code == 0, self.err
        assert self.err == ""
        return self


Vlc = Callable[..., Ended]


@pytest.fixture(scope="session")
def vlc() -> Vlc:
    """Runs the installed ``vlc`` with arguments, in a folder."""

    def run(*argv: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [str(COMMAND), *argv],
            cwd=cwd,
            env={**environment(), **(env or {})},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def environment() -> dict[str, str]:
    """The variables of a machine that has none of ours, but for one thread a process."""
    ours = ("DS_ACCELERATOR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "VLC_PLUGINS", "PYTHONWARNINGS")
    return {k: v for k, v in os.environ.items() if k not in ours} | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="session")
def tiny() -> str:
    """A recipe that takes six steps, in a moment."""
    return TINY


@pytest.fixture(scope="session")
def trained(vlc: Vlc, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The folder where the tiny recipe was trained into ``run``, and what the command printed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    return folder, vlc("train", "tiny.yaml", cwd=folder)


@pytest.fixture(scope="session")
def metrics() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads the metrics of a run folder, without those that depend on the clock."""

    def read(run: Path) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if key != "samples_per_second"} for row in rows]

    return read
