"""The recipes of this plugin are whole, and say what they are meant to."""

from __future__ import annotations

import pytest

from vlc_core.plugins import plugins
from vlc_core.recipe import Recipe, load_recipe

NAMES = ["base", "laptop", "cluster"]


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
