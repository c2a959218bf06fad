"""The recipes of this plugin are whole, and say what they are meant to."""

from __future__ import annotations

import pytest

from vlc_core.plugins import plugins
from vlc_core.recipe import Recipe, load_recipe

NAMES = ["base", "laptop", "gpu", "cluster", "multi-task", "linear-text"]


def recipe(name: str) -> Recipe:
    return load_recipe(f"unicl/{name}", registry=plugins().registry).recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete_and_its_options_exist(name: str) -> None:
    assert recipe(name).data.train


def test_every_recipe_that_is_offered_is_tested() -> None:
    assert {e.name for e in plugins().registry.entries("recipe") if e.plugin == "unicl"} == set(NAMES)


def test_the_batch_is_the_papers_where_there_are_gpus() -> None:
    assert {recipe(name).train.batch_size for name in ("gpu", "cluster")} == {4096}


@pytest.mark.parametrize("name", ["base", "laptop", "gpu", "cluster", "multi-task"])
def test_labels_and_pairs_share_each_batch(name: str) -> None:
    data = recipe(name).data
    assert data.sampler.use == "balanced"
    assert [source.use for source in data.train] == ["digits", "shapes"]
    assert data.train[1].options["labelled"] is False
