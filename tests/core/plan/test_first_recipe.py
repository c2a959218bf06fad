"""First recipes: every installed preset as one commented file."""

from __future__ import annotations

import pytest
import yaml

from vlc_core.errors import RecipeError
from vlc_core.plan.first_recipe import WIDTH, find_preset, first_recipe
from vlc_core.plan.launching import launch_lines
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe

PRESETS = [entry.long_name for entry in plugins().registry.entries("recipe")]


@pytest.fixture(params=PRESETS)
def preset(request):
    registry = plugins().registry
    entry = registry.find("recipe", request.param)
    return entry, load_recipe(entry.long_name, registry=registry)


def test_there_is_a_preset_for_every_scale():
    assert {"clip/base", "clip/laptop", "clip/gpu", "clip/cluster"} <= set(PRESETS)


def test_the_file_says_what_the_preset_says(preset, tmp_path):
    entry, loaded = preset
    registry = plugins().registry
    path = tmp_path / "mine.yaml"
    path.write_text(first_recipe(loaded, entry, registry, file="mine.yaml", schema="schema.json"))
    again = load_recipe(path, registry=registry)
    assert again.recipe.name == "mine"
    changed = {"name": loaded.recipe.name, "output": loaded.recipe.output}
    assert again.recipe.model_copy(update=changed) == loaded.recipe


def test_every_key_that_has_a_description_is_explained(preset):
    entry, loaded = preset
    text = first_recipe(loaded, entry, plugins().registry, file="a.yaml", schema="s.json")
    assert text.startswith("# yaml-language-server: $schema=s.json\n")
    for line in launch_lines("a.yaml").values():
        assert f"#   {line}\n" in text
    assert "# Samples a step, over all ranks." in text
    assert "# Side of the image in pixels" in text
    assert "{use: manifest, path: pairs.csv}" in text
    assert max(map(len, text.splitlines())) <= WIDTH + 10
    assert yaml.safe_load(text)["objectives"][0]["use"]


def test_a_method_means_its_smallest_preset():
    registry = plugins().registry
    assert find_preset("clip", registry).long_name == "clip/laptop"
    assert find_preset("clip/gpu", registry).long_name == "clip/gpu"
    assert find_preset("bag-of-words", registry).long_name == "clip/bag-of-words"
    assert find_preset("unicl", registry).long_name == "unicl/laptop"
    with pytest.raises(RecipeError, match=r"write .*clip/cluster or unicl/cluster"):
        find_preset("cluster", registry)


@pytest.mark.parametrize(("method", "words"), [("clop", "did you mean 'clip'"), ("zzzz", "known are clip")])
def test_an_unknown_method_is_told_the_known_ones(method, words):
    with pytest.raises(RecipeError, match=words):
        find_preset(method, plugins().registry)


def test_file_names_are_quoted_for_the_shell():
    assert all("'my recipe.yaml'" in line for line in launch_lines("my recipe.yaml").values())
