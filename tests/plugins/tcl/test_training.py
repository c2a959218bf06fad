"""The real command trains a tiny TCL recipe: resumed, on two ranks, in micro-batches, and for use."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

TINY = """\
name: tiny-tcl
seed: 3
model:
  image: {use: vit, size: 32, patch: 8, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 32, causal: false, pool: first}
  fusion: {use: cross-attention, depth: 1, heads: 2}
  tokenizer: {use: word}
  embed_dim: 16
  temperature: {init: 0.07, min: 0.001, max: 0.5, learn_as: temperature}
  momentum: {decay: 0.9, queue: 24}
objectives:
  - {use: cma, weight: 0.3333, ramp: 0.5}
  - {use: imc, weight: 0.3333}
  - {use: lmi, weight: 0.3333, pool: 2, negatives: global}
  - {use: itm, negatives: global}
  - {use: mlm, ramp: 0.5}
data:
  train: [{use: shapes, split: train, size: 32, length: 64, labelled: false}]
train:
  steps: 6
  batch_size: 16
  optimizer: {lr: 1e-3}
  schedule: {use: cosine, warmup: 2}
checkpoint: {every: 3}
output: run
"""
LOSSES = [f"loss/{name}" for name in ("cma/i2t", "cma/t2i", "imc/i2i", "imc/t2t", "lmi/image", "lmi/text")]
KEYS = ["loss", *LOSSES, "loss/itm", "loss/mlm", "logit_scale", "grad_norm"]


def agree(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        for key in KEYS:
            assert mine[key] == pytest.approx(theirs[key], rel=2e-4), (mine["step"], key)


@pytest.fixture(scope="module")
def folder(vlc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, trained into ``run``."""
    made = tmp_path_factory.mktemp("tcl")
    (made / "tiny.yaml").write_text(TINY)
    vlc("train", "tiny.yaml", cwd=made).fine()
    return made


def test_every_term_is_logged_and_the_loss_is_their_weighted_sum(metrics, folder: Path):
    rows = metrics(folder / "run")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        aligned = 0.3333 * sum(row[name] for name in LOSSES)
        assert row["loss"] == pytest.approx(aligned + row["loss/itm"] + row["loss/mlm"], rel=1e-5)
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_a_killed_run_goes_on_to_the_bit(vlc, metrics, vlc_path, environment, folder: Path):
    train = ["train", "tiny.yaml", "--set", "output=killed", "--set", "checkpoint.every=2"]
    going = subprocess.Popen([vlc_path, *train], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((folder / "killed" / "checkpoints").glob("step-*")):
        assert going.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    going.send_signal(signal.SIGKILL)
    going.wait()
    last = max(path for path in (folder / "killed" / "checkpoints").glob("step-*") if path.suffix != ".partial")
    if last.name == "step-00000006":  # it was faster than the signal
        shutil.rmtree(last)
    assert "resumed after step" in vlc(*train, "--resume", cwd=folder).fine()
    assert metrics(folder / "killed") == metrics(folder / "run")
    one, other = ((folder / run / "model" / "weights.safetensors").read_bytes() for run in ("run", "killed"))
    assert one == other


@pytest.mark.parametrize(
    ("ranks", "sets"),
    [
        (1, ["train.micro_batch_size=4"]),
        (2, ["train.micro_batch_size=4", "deepspeed.zero_optimization.stage=2"]),
        (2, ["deepspeed.zero_optimization.stage=3"]),
    ],
    ids=["micro-batches", "two ranks, micro-batches, ZeRO 2", "two ranks, ZeRO 3"],
)
def test_losses_are_those_of_one_rank(vlc, metrics, folder: Path, ranks: int, sets: list[str]):
    output = f"ranks-{ranks}-{len(sets)}"
    given = [part for one in (*sets, f"output={output}") for part in ("--set", one)]
    vlc("train", "tiny.yaml", *given, "--devices", str(ranks), cwd=folder).fine()
    agree(metrics(folder / output), metrics(folder / "run"))


def test_the_towers_are_loaded_for_use(folder: Path):
    from PIL import Image

    from vlc_core.inference import DualEncoder

    model = DualEncoder.load(folder / "run")
    image = model.encode_image([Image.new("RGB", (40, 30), "red"), Image.new("RGB", (32, 32), "blue")])
    text = model.encode_text(["a red circle", "a blue ring"])
    assert image.shape == text.shape == (2, 16)
    torch.testing.assert_close(image.norm(dim=1), torch.ones(2))
    assert not text[0].allclose(text[1])
