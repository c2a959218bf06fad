"""Runs on precomputed embeddings: trained, evaluated, loaded again, and refused where widths do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vlc_core.inference import DualEncoder

WIDTH, ROWS = 12, 96
COLOURS = ["red", "green", "blue", "white", "black", "gold", "navy", "pink"]
RECIPE = """\
name: features
seed: 3
model:
  image: {use: features, width: 12}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 12}
  tokenizer: {use: word}
  embed_dim: 16
objectives: [{use: clip}]
data:
  train: [{use: manifest, path: train.jsonl, features: vector, text: caption, label: colour}]
train:
  steps: 40
  batch_size: 32
  optimizer: {lr: 2e-2}
evaluate:
  with:
    - {use: zero-shot, data: {use: manifest, path: test.jsonl, features: vector, label: colour}, prompts: "a {} thing"}
output: run
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recipe and two tables: a direction of its own for each colour, with noise."""
    made = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(COLOURS), WIDTH))
    for name in ("train", "test"):
        with (made / f"{name}.jsonl").open("w") as file:
            for number in range(ROWS):
                colour = number % len(COLOURS)
                vector = (centres[colour] + 0.2 * rng.normal(size=WIDTH)).tolist()
                row = {"vector": vector, "caption": f"a {COLOURS[colour]} thing", "colour": COLOURS[colour]}
                row["vector"] = None if (name, number) == ("train", 7) else vector
                file.write(json.dumps(row) + "\n")
    (made / "recipe.yaml").write_text(RECIPE)
    return made


@pytest.fixture(scope="module")
def run(vlc, folder):
    """The folder of the trained run."""
    ended = vlc("train", "recipe.yaml", cwd=folder)
    assert ended.code == 0, ended.err
    return folder / "run"


def test_a_head_learns_on_vectors_and_says_which_are_missing(run):
    metrics = json.loads((run / "evaluations" / "zero-shot.json").read_text())["metrics"]
    assert next(value for name, value in metrics.items() if name.endswith("top1")) > 0.9
    assert "the row has no vector" in (run / "skipped.jsonl").read_text()


def test_a_finished_model_takes_vectors(run):
    model = DualEncoder.load(run)
    embed = model.encode_image(torch.randn(3, WIDTH))
    assert embed.shape == (3, 16)
    torch.testing.assert_close(embed.norm(dim=1), torch.ones(3))
    with pytest.raises(ValueError, match=r"takes a tensor \(N, 12\); got a tensor of shape \(3, 11\)"):
        model.encode_image(torch.randn(3, 11))
    with pytest.raises(ValueError, match=r"takes a tensor \(N, 12\); got pictures"):
        model.encode_image([])


def test_an_evaluation_afterwards_reads_vectors_too(vlc, run):
    ended = vlc("eval", "run", "--with", "zero-shot", cwd=run.parent).well()
    assert "top" in ended.out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            ["model.image.width=20"],
            "recipe.yaml:10: data.train.manifest gives vectors of 12 numbers, and the image encoder features takes 20",
        ),
        (["model.image={use: vit, size: 8, patch: 4, width: 16, depth: 1, heads: 2}"], "gives vectors and no pictures"),
        (
            ["data.train=[{use: digits, split: train, prompts: digits}]"],
            "gives pictures, and the image encoder features",
        ),
    ],
)
def test_check_names_what_does_not_fit(vlc, folder, changes, sentence):
    ended = vlc("check", "recipe.yaml", *(f"--set={one}" for one in changes), cwd=folder)
    assert ended.code == 2
    assert sentence in " ".join(ended.err.split())
    assert "data.train" in ended.err


def test_check_plans_such_a_run(vlc, folder):
    ended = vlc("check", "recipe.yaml", "--json", "--set=output=elsewhere", cwd=folder).well()
    assert json.loads(ended.out)["plan"]["takes"]["untraceable"] == ""


def test_in_micro_batches_the_loss_is_the_same(vlc, folder, metrics):
    losses = []
    for size in (32, 8):
        sets = ["--set=train.steps=3", f"--set=train.micro_batch_size={size}", f"--set=output=micro-{size}"]
        ended = vlc("train", "recipe.yaml", "--set=evaluate.with=[]", *sets, cwd=folder)
        assert ended.code == 0, ended.err
        losses.append([row["loss"] for row in metrics(folder / f"micro-{size}")])
    np.testing.assert_allclose(*losses, rtol=1e-5)
