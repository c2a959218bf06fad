"""Training on image-label and image-text data at once, with the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 200), "white": (230, 230, 230)}
RECIPE = """\
model:
  image: {use: resnet, size: 8, depth: 18, width: 8, stem: small}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 12}
  tokenizer: {use: word}
  embed_dim: 16
objectives: [{use: bic, samples: unlabelled}, {use: classify}]
data:
  train:
    - {use: folder, path: labels, prompts: ["a {} thing", "something {}"]}
    - {use: manifest, path: pairs.csv, text: text}
  transform: {use: fit}
train: {steps: 8, batch_size: 2, optimizer: {lr: 1e-3}}
checkpoint: {every: 4}
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of plain colours, and pairs of others."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = ["image,text"]
    for number in range(4):
        for name, colour in COLOURS.items():
            shade = tuple(max(0, c - 12 * number) for c in colour)
            (folder / "labels" / name).mkdir(parents=True, exist_ok=True)
            (folder / "pairs").mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), shade).save(folder / "labels" / name / f"{number}.png")
            Image.new("RGB", (8, 8), shade[::-1]).save(folder / "pairs" / f"{name}-{number}.png")
            rows.append(f"pairs/{name}-{number}.png,a {name} picture mirrored {number}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    (folder / "mixed.yaml").write_text(RECIPE)
    return folder


def test_ranks_with_labels_only_and_with_pairs_only_train_together_under_zero_3(vlc, metrics, mixed: Path) -> None:
    """With one sample a rank, most steps have a rank without labels or one without pairs; none waits for another."""
    # Batch statistics would differ between one sample at a time and two.
    same = ["--set", "model.image={use: vit, size: 8, patch: 4, width: 16, depth: 1, heads: 2}"]
    stage = ["--set", "deepspeed.zero_optimization.stage=3", "--devices", "2"]
    vlc("train", "mixed.yaml", *same, "--set", "output=one", cwd=mixed).fine()
    vlc("train", "mixed.yaml", *same, *stage, "--set", "output=two", cwd=mixed).fine()
    one, two = metrics(mixed / "one"), metrics(mixed / "two")
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert any(row["loss/classify"] == 0 for row in one), "every batch had a label"
    assert any(row["loss/bic"] > 0 for row in one), "no batch had two pairs"
    assert any(row["loss/bic"] == 0 for row in one), "every batch had two pairs"


def test_two_views_and_a_classifier_learn_from_labels_among_pairs_in_micro_batches(vlc, metrics, mixed: Path) -> None:
    changes = [
        "objectives=[{use: supcon, temperature: 0.1}, {use: classify, features: embed}]",
        "model.image={use: vit, size: 8, patch: 4, width: 16, depth: 1, heads: 2}",
        "train={steps: 40, batch_size: 16, micro_batch_size: 4, optimizer: {lr: 2e-2}}",
        "output=views",
    ]
    vlc("train", "mixed.yaml", *(x for s in changes for x in ("--set", s)), cwd=mixed).fine()
    rows = metrics(mixed / "views")
    for name in ("loss/supcon", "loss/classify"):
        first, last = (sum(row[name] for row in part) for part in (rows[:5], rows[-5:]))
        assert last < 0.95 * first, name


def test_batches_too_small_for_labels_to_matter_are_told_of_and_positives_logged(vlc, metrics, mixed: Path) -> None:
    small = [x for s in ("objectives=[{use: bic}]", "train.batch_size=2", "train.steps=2") for x in ("--set", s)]
    checked = vlc("check", "mixed.yaml", *small, cwd=mixed)
    assert checked.code == 0, checked.err
    assert "of labelled samples meet no other of their class in a batch of 2" in checked.err
    large = [*small, "--set", "train.batch_size=12", "--set", "output=logged"]
    vlc("train", "mixed.yaml", *large, cwd=mixed).fine()
    assert all(1 <= row["bic/positives"] <= 12 for row in metrics(mixed / "logged"))


REAL = """\
seed: 1
model:
  image: {{use: resnet, size: 16, depth: 18, width: 16, stem: small}}
  text: {{use: text-transformer, width: 48, depth: 1, heads: 4, context: 20}}
  tokenizer: {{use: word}}
  embed_dim: 48
objectives: [{{use: bic}}]
data:
  train:
    - {{use: folder, path: {data}/cifar10/train, prompts: clip80}}
    - {{use: manifest, path: {data}/openmoji/manifest.jsonl, image: file, text: text, where: {{skintone: ""}}}}
  transform: {{use: clip, scale: [0.7, 1.0]}}
train: {{steps: 50, batch_size: 128, optimizer: {{lr: 2e-3}}, schedule: {{use: constant, warmup: 5}}}}
evaluate:
  with: [{{use: zero-shot, data: {{use: folder, path: {data}/cifar10/val}}, prompts: clip80}}]
checkpoint: {{every: 30}}
output: run
"""


def test_photographs_with_labels_and_drawings_with_captions_are_learned_together(
    vlc, metrics, tmp_path: Path, shared_data: Path
) -> None:
    """The run names photographs better than chance by their class names, and goes on after a crash to the bit."""
    (tmp_path / "real.yaml").write_text(REAL.format(data=shared_data))
    vlc("train", "real.yaml", cwd=tmp_path).fine()
    _crash_after_step_30(tmp_path / "run", tmp_path / "died")
    vlc("train", "real.yaml", "--set", "output=died", "--resume", cwd=tmp_path).fine()
    assert metrics(tmp_path / "died") == metrics(tmp_path / "run")
    result: dict[str, Any] = json.loads((tmp_path / "died" / "evaluations" / "zero-shot.json").read_text())
    # Four standard deviations above chance, 0.1 on 600 images: so short a run promises no more.
    assert result["metrics"]["top1"] > 0.15
    assert len(result["details"]["prompts"]) == 80


def _crash_after_step_30(run: Path, died: Path) -> None:
    shutil.copytree(run, died)
    shutil.rmtree(died / "checkpoints" / "step-00000050")
    lines = (died / "metrics.jsonl").read_text().splitlines(keepends=True)
    (died / "metrics.jsonl").write_text("".join(lines[:35]))
