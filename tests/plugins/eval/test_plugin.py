"""The evaluators as a recipe reaches them: found by name, options checked, nested data made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vlc_core.errors import UnknownComponent
from vlc_core.inference import Inference
from vlc_core.interfaces.evaluator import Evaluation
from vlc_core.model.towers import Features
from vlc_core.options import build, check
from vlc_core.options.use import Use
from vlc_core.plugins import plugins

DIGITS = {"use": "digits", "split": "test"}


@pytest.mark.parametrize("name", ["zero-shot", "eval/retrieval"])
def test_a_recipe_makes_it_with_its_data(name: str) -> None:
    spec = Use.model_validate({"use": name, "data": DIGITS, "prompts": ["the digit {}"]})
    evaluator = build(plugins().registry, "evaluator", spec)
    assert len(evaluator.data) == 355
    assert evaluator.templates == ("the digit {}",)


def test_wrong_options_are_found_before_anything_is_made() -> None:
    found = check(plugins().registry, "evaluator", "zero-shot", {"data": DIGITS, "prompts": "clip8", "topk": 3})
    texts = " ".join(problem.text for problem in found.problems)
    assert "clip80" in texts
    assert {problem.path[0] for problem in found.problems} == {"prompts", "topk"}


def test_an_unknown_prompt_set_ends_the_building() -> None:
    spec = Use.model_validate({"use": "zero-shot", "data": DIGITS, "prompts": "clip8"})
    with pytest.raises(UnknownComponent, match="clip80"):
        build(plugins().registry, "evaluator", spec)


def evaluated(name: str, model: object) -> Evaluation:
    spec = Use.model_validate({"use": name, "data": DIGITS, "prompts": "digits"})
    result = build(plugins().registry, "evaluator", spec).evaluate(model)
    assert isinstance(result, Evaluation)
    return result


def test_real_digits_by_an_untrained_model_are_near_chance(known: SimpleNamespace) -> None:
    image_ND = torch.randn(355, 16, generator=torch.Generator().manual_seed(0))
    model = known.Model(image_ND, lambda text: known.hashed(text, 16))
    zero_shot, retrieval = evaluated("zero-shot", model), evaluated("retrieval", model)
    assert 0.03 < zero_shot.metrics["top1"] < 0.2
    assert 0.35 < zero_shot.metrics["top5"] < 0.65
    assert (retrieval.metrics["images"], retrieval.metrics["texts"]) == (355, 80)
    chance = retrieval.tables["directions"].rows[0][retrieval.tables["directions"].columns.index("chance@1")]
    assert chance == pytest.approx(0.1)
    assert abs(retrieval.metrics["i2t_recall@1"] - 0.1) < 0.07


def test_real_digits_by_a_model_that_knows_them_are_all_right(known: SimpleNamespace) -> None:
    data = build(plugins().registry, "dataset", Use.model_validate(DIGITS))
    one_hot = torch.eye(10)

    def digit_in(text: str) -> torch.Tensor:
        return one_hot[next(n for n, name in enumerate(data.classes) if name in text.rstrip(".").split())]

    model = known.Model(one_hot[[data[i].label for i in range(355)]], digit_in)
    assert evaluated("zero-shot", model).metrics["mean_per_class"] == 1
    assert evaluated("retrieval", model).metrics["mean_recall"] == 1


def quarters(pixels: torch.Tensor) -> Features:
    mean = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), 2).mean(dim=1).flatten(1)
    return Features(mean, mean)


def test_the_real_inference_feeds_them() -> None:
    """Images by their brightness in each quarter, texts by their length: poor, but through the real path."""
    tokenizer = SimpleNamespace(
        encode=lambda texts, context: SimpleNamespace(
            ids=torch.tensor([[len(t)] for t in texts]), mask=torch.ones(len(texts), 1, dtype=torch.bool)
        )
    )
    model = Inference(
        quarters,
        lambda ids, mask: torch.cat([ids, ids % 3, ids % 5, ids % 7], dim=1).float(),
        tokenizer,  # type: ignore[arg-type]
        size=8,
        context=4,
        scale=10.0,
        batch_size=100,
    )
    assert evaluated("zero-shot", model).metrics["samples"] == 355
    assert evaluated("retrieval", model).metrics["images"] == 355
