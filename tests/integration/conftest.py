"""The real command on tiny recipes: what every test here shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
def tiny() -> str:
    """A recipe that takes six steps, in a moment."""
    return TINY


@pytest.fixture(scope="session")
def trained(installed_vlc: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder where the tiny recipe was trained into ``run``, and how the command ended."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    return folder, installed_vlc("train", "tiny.yaml", cwd=folder)
