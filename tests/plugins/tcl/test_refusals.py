"""What ``vlc check`` refuses of a TCL recipe, in one sentence, and what it warns of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers

from vlc_cli.main import run

RECIPE = """\
name: tiny
model:
  image: {use: vit, size: 32, patch: 8, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 16, dropout: 0.1}
  fusion: {use: cross-attention, depth: 1, heads: 2}
  tokenizer: {use: word}
  embed_dim: 16
  momentum: {queue: 32}
objectives: [{use: OBJECTIVE}]
data:
  train: [{use: shapes, split: train, size: 32, length: 200, labelled: false}]
train: {steps: 2, batch_size: 16}
output: run
"""
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Checks the recipe with an objective and settings; the exit code, and what was told on both streams."""
    monkeypatch.chdir(tmp_path)

    def check(objective: str, *sets: str, more: tuple[str, ...] = ()) -> tuple[int, str, str]:
        Path("tcl.yaml").write_text(RECIPE.replace("OBJECTIVE", objective))
        code = run(["check", "tcl.yaml", *(part for one in sets for part in ("--set", one)), *more])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert not Path("run").exists()
        return code, told.out, told.err

    return check


VECTORS = [
    "model.image={use: features, width: 4}",
    "data.train=[{use: manifest, path: v.jsonl, features: vector, text: text}]",
]


@pytest.mark.parametrize("objective", ["lmi", "itm", "mlm"])
def test_an_encoder_without_tokens(checked: Check, objective: str):
    Path("v.jsonl").write_text('{"text": "a cat", "vector": [1, 2, 3, 4]}\n{"text": "a dog", "vector": [4, 3, 2, 1]}\n')
    code, _, told = checked(objective, *VECTORS)
    assert code == 2, told
    assert told.count("\n") == 1
    assert f"objectives.{objective}" in told
    assert "tcl.yaml:9" in told
    assert "image encoder has one vector for the whole: choose another model.image" in told


@pytest.mark.parametrize(
    ("objective", "sets", "words"),
    [
        ("cma", ["model.momentum.queue=15"], ["objectives.cma", "queue of 15", "batch of 16", "model.momentum.queue"]),
        ("imc", ["model.momentum.queue=8"], ["objectives.imc", "queue of 8", "batch of 16"]),
        ("cma", ["objectives.cma.alpha=1.5"], ["objectives.cma.alpha", "1.5", "1"]),
        ("cma", ["objectives.cma.alpha=-0.1"], ["objectives.cma.alpha", "-0.1", "0"]),
        ("mlm", ["objectives.mlm.alpha=2"], ["objectives.mlm.alpha", "2"]),
        ("mlm", ["objectives.mlm.probability=0"], ["objectives.mlm.probability", "0"]),
        ("mlm", ["model.fusion=null"], ["objectives.mlm", "model.fusion"]),
        ("itm", ["model.fusion=null"], ["objectives.itm", "model.fusion"]),
        ("itm", ["objectives.itm.negatives=all"], ["objectives.itm.negatives", "'rank'", "'global'"]),
        ("cma", ["objectives.cma.false_negatives=drop"], ["false_negatives", "'exclude'", "'keep'"]),
        ("lmi", ["objectives.lmi.pool=5"], ["5 × 5 regions", "16 patches"]),
        ("cma", ["model.momentum.decay=1.5"], ["model.momentum.decay", "1.5"]),
    ],
)
def test_what_does_not_go_together(checked: Check, objective: str, sets: list[str], words: list[str]):
    code, _, told = checked(objective, *sets)
    assert code == 2, told
    assert told.count("\n") == 1, told
    assert told.startswith("error: ")
    assert all(word in told for word in words), told


def test_a_tokenizer_without_a_mask_token(checked: Check):
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1, "a": 2}, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.add_special_tokens(["<pad>", "<unk>", "</s>"])
    words.save("own.json")
    code, _, told = checked("mlm", "model.tokenizer={use: file, path: own.json}")
    assert code == 2, told
    assert told.count("\n") == 1
    assert "objectives.mlm" in told
    assert "no mask token: choose one that has" in told


def test_a_recipe_that_is_as_it_should_be_is_warned_of_nothing(checked: Check):
    for objective in ("cma", "imc", "lmi", "itm", "mlm"):
        code, told, warned = checked(objective)
        assert (code, warned) == (0, "")
        assert "complete and sound" in told
        assert "memory at most" in told


@pytest.mark.parametrize(
    ("objective", "sets", "words"),
    [
        ("imc", ["model.text.dropout=0"], ["model.text", "imc", "no dropout"]),
        ("imc", ["model.momentum.twin_dropout=[image]"], ["model.momentum.twin_dropout", "imc", "add text"]),
        ("cma", ["model.momentum.queue=51"], ["model.momentum.queue", "51", "200", "at most 50"]),
    ],
)
def test_what_had_better_be_otherwise_is_told(checked: Check, objective: str, sets: list[str], words: list[str]):
    code, _, warned = checked(objective, *sets)
    assert code == 0
    assert warned.startswith("warning: ")
    assert warned.count("\n") == 1
    assert all(word in warned for word in words), warned
    code, told, warned = checked(objective, *sets, more=("--json",))
    assert (code, warned) == (0, "")
    (sentence,) = json.loads(told)["plan"]["warnings"]
    assert all(word in sentence for word in words)


def test_only_what_reads_them_is_asked_about_dropout_and_queue(checked: Check):
    for objective in ("lmi", "itm", "mlm", "clip"):
        assert checked(objective, "model.text.dropout=0", "model.momentum.queue=4096")[2] == ""
