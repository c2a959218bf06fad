"""The recipes of this plugin are whole, and say what they are meant to."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlc_core.plugins import plugins
from vlc_core.recipe import Recipe, load_recipe

PRETRAINING = ["base", "laptop", "cluster", "multilingual"]
FINE_TUNING = ["retrieval", "retrieval-flickr30k", "retrieval-coco", "multilingual-retrieval"]
NAMES = [*PRETRAINING, *FINE_TUNING]


def recipe(name: str) -> Recipe:
    return load_recipe(f"align/{name}", registry=plugins().registry).recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete_and_its_options_exist(name: str) -> None:
    made = recipe(name)
    assert made.train.optimizer.use == "lamb"
    assert made.model.temperature.learn_as == "temperature"
    assert made.model.text.head.use == "mlp"
    (objective,) = made.objectives
    assert (objective.use, objective.options) == ("align", {"label_smoothing": 0.1})


def test_every_recipe_that_is_offered_is_tested() -> None:
    assert {e.name for e in plugins().registry.entries("recipe") if e.plugin == "align"} == set(NAMES)


@pytest.mark.parametrize("name", ["base", "cluster"])
def test_the_temperature_starts_at_one_and_may_rise(name: str) -> None:
    temperature = recipe(name).model.temperature
    assert temperature.init == 1.0
    assert temperature.min < temperature.init < temperature.max


def test_the_batch_is_the_papers_where_there_are_gpus() -> None:
    made = recipe("cluster")
    assert (made.train.batch_size, made.train.steps) == (16384, 1200000)
    assert (made.train.optimizer.lr, made.train.optimizer.weight_decay) == (1e-3, 1e-5)
    assert (made.model.image.options["variant"], made.model.embed_dim) == ("l2", 1376)


@pytest.mark.parametrize(("name", "steps"), [("retrieval-flickr30k", 3000), ("retrieval-coco", 6000)])
def test_fine_tuning_is_the_papers(name: str, steps: int) -> None:
    """Section 5.1: 2,048 pairs a step, 1e-5 that falls linearly, 3,000 and 6,000 steps, all else as in pre-training."""
    made, before = recipe(name), recipe("cluster")
    assert (made.train.steps, made.train.batch_size, made.train.optimizer.lr) == (steps, 2048, 1e-5)
    assert (made.train.schedule.use, made.train.schedule.warmup) == ("linear", 0)
    assert made.model == before.model
    assert made.objectives == before.objectives


@pytest.mark.parametrize(
    ("name", "pretrained"),
    [("retrieval", "laptop"), ("retrieval-coco", "cluster"), ("multilingual-retrieval", "multilingual")],
)
def test_a_fine_tuned_model_is_the_one_that_it_goes_on_from(name: str, pretrained: str) -> None:
    assert recipe(name).model == recipe(pretrained).model


def test_paths_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI30K", "/m")
    monkeypatch.setenv("FLICKR30K", "/f")
    (train,) = recipe("multilingual-retrieval").data.train
    assert train.options["path"]["cs"] == "/m/data/task1/raw/train.cs.gz"
    assert train.options["names"] == "/m/data/task1/image_splits/train.txt"
    assert train.options["images"] == "/f/flickr30k-images"
    (measured,) = recipe("multilingual-retrieval").evaluate.with_
    assert measured.options["data"]["names"] == "/m/data/task1/image_splits/test_2016_flickr.txt"


def test_every_recipe_is_on_the_page() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "align.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`align/{name}`" not in page] == []
