"""Classification of fused pairs: the loss by a loop, the page of recipes, and the real command from start to maps."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from vlc_core.interfaces.encoder import Encoded, Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.model.towers import Features
from vlc_core.options import check
from vlc_core.plugins import plugins
from vlc_plugin_tcl.objectives.pairs import PairClasses, targets

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "downstream.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
TINY = """\
seed: 3
model:
  image: {use: vit, size: 32, patch: 8, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 32, causal: false, pool: first}
  fusion: {use: cross-attention, depth: 2, heads: 2}
  tokenizer: {use: word}
  embed_dim: 16
objectives: [{use: clip/clip}, {use: itm}]
data:
  train: [{use: shapes, split: train, size: 32, length: 64, labelled: false}]
train: {steps: 4, batch_size: 16, optimizer: {lr: 1e-3}, schedule: {use: cosine, warmup: 2}}
evaluate:
  every: 4
  with:
    - use: retrieval
      data: {use: shapes, split: train, seed: 1, size: 32, length: 12, labelled: false}
      rerank: {objective: itm, top: 4}
    - {use: grounding, data: {use: shapes-phrases, length: 6, size: 32}}
checkpoint: {every: 4}
output: run
"""


def results(run: Path) -> dict[str, dict[str, float]]:
    return {file.stem: json.loads(file.read_text())["metrics"] for file in (run / "evaluations").glob("*.json")}


def objective(images: int = 1, loss: str = "softmax") -> PairClasses:
    torch.manual_seed(0)
    info = ModelInfo(6, 8, 8, Vocabulary(9, 0), ("a", "b", "c"), fusion_width=8)
    made = PairClasses(info, images=images, loss=loss).double()  # type: ignore[arg-type]
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


LABELS = torch.tensor([2, -1, -1, 0, 1])
ANSWERS = (
    torch.tensor([[-1, -1], [0, 2], [-1, -1], [-1, -1], [0, -1]]),
    torch.tensor([[0.0, 0], [1, 1 / 3], [0, 0], [0, 0], [0.6, 0]]),
)
SOFT = [[0.0, 0, 1], [1, 0, 1 / 3], [0, 0, 0], [1, 0, 0], [0.6, 0, 0]]


def test_targets_are_answers_where_there_are_some_and_labels_elsewhere():
    torch.testing.assert_close(targets(LABELS, ANSWERS, 3), torch.tensor(SOFT))
    assert targets(LABELS, None, 3).tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("images", [1, 2])
def test_the_loss_is_that_of_a_loop(images: int, loss: str):
    made = objective(images, loss)
    fused = [torch.randn(5, 8, dtype=torch.float64) for _ in range(images)]
    given = iter(fused)
    none = Features(torch.zeros(5, 6), torch.zeros(5, 8))
    step: Any = SimpleNamespace(
        text=none, image=none, view=lambda _: none, labels=LABELS, answers=ANSWERS,
        fuse=lambda text, image: Encoded(next(given)),
    )  # fmt: skip
    (term,) = made.forward(step).values()
    logits = made.judge(Encoded(torch.cat(fused, dim=1))).tolist()
    total = 0.0
    for row, soft in zip(logits, torch.tensor(SOFT).double().tolist(), strict=True):
        if loss == "softmax" and sum(soft) > 0:
            norm = math.log(sum(map(math.exp, row)))
            total += sum(share / sum(soft) * (norm - x) for share, x in zip(soft, row, strict=True))
        elif sum(soft) > 0:
            chances = [1 / (1 + math.exp(-x)) for x in row]
            total -= sum(t * math.log(p) + (1 - t) * math.log(1 - p) for t, p in zip(soft, chances, strict=True))
    assert term.count == 4
    assert term.sum.item() == pytest.approx(total, rel=1e-6)


def test_a_batch_without_targets_runs_and_counts_nothing():
    made = objective()
    none = Features(torch.zeros(5, 6), torch.zeros(5, 8))
    step: Any = SimpleNamespace(
        text=none, image=none, labels=torch.full((5,), -1), answers=None,
        fuse=lambda text, image: Encoded(torch.randn(5, 8, dtype=torch.float64)),
    )  # fmt: skip
    term = made.forward(step)["pairs"]
    term.sum.backward()
    assert (term.sum.item(), term.count) == (0, 0)
    assert made.head.weight.grad is not None


def blocks(kind: str) -> list[dict[str, Any]]:
    found = []
    for block in BLOCKS:
        found += {
            "dataset": block.get("data", {}).get("train", []),
            "objective": block.get("objectives", []),
            "evaluator": block.get("evaluate", {}).get("with", []),
        }[kind]
    return found


@pytest.mark.parametrize("kind", ["dataset", "objective", "evaluator"])
def test_the_page_s_blocks_have_the_options_of_what_they_use(kind: str):
    assert blocks(kind)
    for spec in blocks(kind):
        options = {key: value for key, value in spec.items() if key != "use"}
        assert check(plugins().registry, kind, spec["use"], options).problems == [], spec


@pytest.fixture(scope="module")
def folder(vlc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, trained into ``run`` and measured in its last step."""
    made = tmp_path_factory.mktemp("downstream")
    (made / "tiny.yaml").write_text(TINY)
    vlc("train", "tiny.yaml", cwd=made).fine()
    return made


def test_the_finished_model_scores_as_it_did_in_training(vlc, folder: Path):
    before = results(folder / "run")
    assert before["grounding"]["phrases"] > 20
    assert "reranked_t2i_recall@1" in before["retrieval"]
    vlc("eval", "run", cwd=folder).fine()
    for name, metrics in results(folder / "run").items():
        assert metrics == pytest.approx(before[name], abs=1e-6), name
    drawn = (folder / "run" / "evaluations" / "grounding" / "maps.html").read_text()
    assert drawn.count("data:image/png;base64,") == 16


def test_two_ranks_score_as_one_does(vlc, folder: Path):
    sets = ["deepspeed.zero_optimization.stage=3", "output=ranks", "objectives.itm.negatives=global"]
    given = [part for one in sets for part in ("--set", one)]
    vlc("train", "tiny.yaml", *given, "--devices", "2", cwd=folder).fine()
    before = results(folder / "ranks")
    vlc("eval", "ranks", cwd=folder).fine()
    for name, metrics in results(folder / "ranks").items():
        assert metrics == pytest.approx(before[name], abs=1e-6), name


@pytest.mark.parametrize(
    ("data", "options"),
    [("statements", ""), ("entailment", ""), ("questions", ", loss: sigmoid"), ("two-images", ", images: 2")],
)
def test_a_pre_trained_model_is_fine_tuned_and_measured(vlc, folder: Path, data: str, options: str):
    measured = f"{{use: pair-classes, data: {{use: shapes-{data}, size: 32, scenes: 8, seed: 1}}}}"
    sets = [
        "model.from=run", f"objectives=[{{use: pairs{options}}}]", f"output={data}", "train.micro_batch_size=8",
        f"data.train=[{{use: shapes-{data}, size: 32, scenes: 16}}]", f"evaluate.with=[{measured}]",
    ]  # fmt: skip
    vlc("train", "tiny.yaml", *(part for one in sets for part in ("--set", one)), cwd=folder).fine()
    before = results(folder / data)["pair-classes"]
    vlc("eval", data, cwd=folder).fine()
    assert results(folder / data)["pair-classes"] == pytest.approx(before, abs=1e-6)
    assert 0 <= before["consistency"] <= before["accuracy"] + 0.5 <= 1.5


def test_a_model_without_the_objective_is_refused_by_name(vlc, folder: Path):
    done = vlc(
        "eval", "run", "--set", "evaluate.with=[{use: pair-classes, data: {use: shapes-statements, scenes: 4}}]",
        cwd=folder,
    )  # fmt: skip
    assert done.code != 0
    assert "no objective called 'pairs'" in done.err


@pytest.mark.parametrize("name", ["statements", "entailment", "questions", "two-images"])
def test_a_recipe_is_sound(vlc, name: str, tmp_path: Path):
    fewer = f"data.train.shapes-{name}.scenes=50"
    assert f"tcl-{name} is complete and sound" in vlc("check", f"tcl/{name}", "--set", fewer, cwd=tmp_path).fine()
