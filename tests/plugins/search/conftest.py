"""A small model as a run leaves it, and some images to search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from PIL import Image, ImageColor

from vlc_cli.main import run as run_vlc
from vlc_core import folders
from vlc_core.assemble import build_towers
from vlc_core.model.folder import model_files
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_core.tokenizer import Tokenizer, Vocabulary

COLOURS = ("red", "green", "blue", "yellow", "white", "black")
IMAGES = 23
BROKEN, MISSING = 5, 11
RECIPE = """\
name: small
model:
  image: {use: vit, size: 16, patch: 8, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 8}
  embed_dim: 16
objectives: [{use: clip}]
data:
  train: [{use: manifest, path: pairs.jsonl, text: captions}]
train: {steps: 1, batch_size: 4}
output: run
"""


def small_tokenizer() -> Tokenizer:
    words = ["<pad>", "<unk>", "a", "square", "picture", "of", *COLOURS]
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return Tokenizer(backend, Vocabulary(size=len(words), pad=0, unknown=1))


def write_run(folder: Path, seed: int) -> Path:
    """A run with a model that has learned nothing: its embeddings still tell images and texts apart."""
    torch.manual_seed(seed)
    model = Model.model_validate(
        {
            "image": {"use": "vit", "size": 16, "patch": 8, "width": 16, "depth": 1, "heads": 2},
            "text": {"use": "text-transformer", "width": 16, "depth": 1, "heads": 2, "context": 8},
            "embed_dim": 16,
        }
    )
    tokenizer = small_tokenizer()
    towers = build_towers(model, plugins().registry, tokenizer)
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    folders.write_folder(folder / "model", model_files(model, towers.state_dict(), tokenizer, scratch))
    return folder


def caption(number: int) -> str:
    return f"a {COLOURS[number % len(COLOURS)]} square"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 23 noisy squares with one or two captions; one is cut short, one is missing."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    lines = []
    for number in range(IMAGES):
        colour = np.array(ImageColor.getrgb(COLOURS[number % len(COLOURS)]))
        pixels = (colour + rng.integers(-25, 25, (20, 24, 3))).clip(0, 255).astype(np.uint8)
        file = folder / f"{number:02d}.jpg"
        Image.fromarray(pixels).save(file)
        if number == BROKEN:
            file.write_bytes(file.read_bytes()[:-80])
        if number == MISSING:
            file.unlink()
        captions = [caption(number)] + (["a picture of a square"] if number % 3 == 0 else [])
        lines.append(json.dumps({"image": file.name, "captions": captions}))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def trained(data: Path) -> Path:
    """A run; its recipe names the table as its training data."""
    run = write_run(data / "run", seed=1)
    (data / "recipe.yaml").write_text(RECIPE)
    (run / "recipe.yaml").write_text(RECIPE.replace("pairs.jsonl", "../pairs.jsonl"))
    return run


@pytest.fixture(scope="session")
def other(data: Path) -> Path:
    """A run of another model."""
    return write_run(data / "other", seed=2)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run_vlc([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
