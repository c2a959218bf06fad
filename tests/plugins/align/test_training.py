"""Training with ALIGN's parts by the real command."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

RECIPE = """\
seed: 3
model:
  image:
    use: efficientnet
    size: 32
    config: {width_coefficient: 0.25, depth_coefficient: 0.1, drop_connect_rate: 0}
    norm_momentum: 0.1
    head: {use: none}
  text:
    use: transformers
    context: 24
    config:
      {model_type: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64,
       hidden_dropout_prob: 0, attention_probs_dropout_prob: 0}
    head: {use: mlp}
  tokenizer: {use: word}
  temperature: {init: 0.1, learn_as: log_scale}
objectives: [{use: align}]
data:
  train: [{use: manifest, path: pairs.csv, text: text}]
  transform: {use: fit}
train: {steps: 8, batch_size: 16, optimizer: {use: lamb, lr: 2e-2, weight_decay: 1e-5}, schedule: {use: constant}}
checkpoint: {every: 4}
"""
# Batch statistics would differ between parts of a batch and the whole.
VIT = "model.image={use: vit, size: 32, patch: 16, width: 16, depth: 1, heads: 2}"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Sixteen plain colours, each with a word of its own."""
    rows = ["image,text"]
    for number in range(16):
        colour = tuple(85 * ((number >> shift) & 3) for shift in (0, 1, 2))
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,the colour called number{number}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "align.yaml").write_text(RECIPE)
    return tmp_path


def test_a_short_run_learns_colours(vlc, metrics, recipe: Path) -> None:
    changes = ["--set", "train.steps=80", "--set", "train.optimizer.lr=1e-2"]
    vlc("train", "align.yaml", *changes, "--set", "output=run", cwd=recipe).fine()
    losses = [row["loss/align"] for row in metrics(recipe / "run")]
    assert losses[0] > math.log(16)
    assert sum(losses[-10:]) / 10 < 2.6
    assert metrics(recipe / "run")[-1]["logit_scale"] != pytest.approx(10.0)


def test_ranks_micro_batches_and_a_second_start_take_the_same_steps(vlc, metrics, recipe: Path) -> None:
    """Half of the negatives, LAMB under ZeRO 2 on two ranks in two parts each, begun again after four steps."""
    same = ["--set", VIT, "--set", "model.embed_dim=16", "--set", "objectives.align.negatives=0.5"]
    apart = ["--set", "deepspeed.zero_optimization.stage=2", "--set", "train.micro_batch_size=4", "--devices", "2"]
    vlc("train", "align.yaml", *same, "--set", "output=one", cwd=recipe).fine()
    vlc("train", "align.yaml", *same, *apart, "--set", "output=two", "--set", "train.steps=4", cwd=recipe).fine()
    vlc("train", "align.yaml", *same, *apart, "--set", "output=two", "--resume", cwd=recipe).fine()
    one, two = metrics(recipe / "one"), metrics(recipe / "two")
    assert len(two) == 8
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-3, abs=1e-5)
