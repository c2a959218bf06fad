"""The JSON schema, judged by a validator that knows nothing of vlc."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from vlc_core.errors import AmbiguousComponent, UnknownComponent
from vlc_core.plan.json_schema import component_schema, named, recipe_schema
from vlc_core.plugins import plugins
from vlc_core.recipe.components import PLACES
from vlc_core.recipe.yaml import read_file

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = [*sorted((ROOT / "recipes").glob("*.yaml")), *sorted(ROOT.glob("plugins/*/*/recipes/*.yaml"))]
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema(plugins().registry)
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.fixture
def recipe():
    return read_file(QUICKSTART, "quickstart.yaml").plain()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_recipes_are_valid(validator, path):
    assert [error.message for error in validator.iter_errors(read_file(path, path.name).plain())] == []


def change(recipe, path, value):
    *keys, last = path
    for key in keys:
        recipe = recipe[key]
    recipe[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "image", "pach"), 4),
        (("model", "image", "patch"), "four"),
        (("model", "image", "patch"), 0),
        (("model", "image", "use"), "vitt"),
        (("model", "text", "use"), "vit"),
        (("model", "temperature"), {"learn_as": "square"}),
        (("objectives",), "clip"),
        (("objectives", 0, "weight"), -1),
        (("data", "train", 0, "split"), "tset"),
        (("evaluate", "with", 0, "data", "use"), "digit"),
        (("train", "precision"), "fp16"),
        (("trian",), {}),
    ],
)
def test_faults_are_found(validator, recipe, path, value):
    change(recipe, path, value)
    assert not validator.is_valid(recipe)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "image", "patch"), 8),
        (("model", "image", "use"), "encoders/vit"),
        (("model", "tokenizer"), "word"),
        (("train", "batch_size"), "${BATCH}"),
        (("data", "workers"), "${oc}"),
        (("deepspeed",), {"zero_optimization": {"stage": 3}}),
        (("objectives",), {"clip": {"weight": 0.5}, "other": None}),
    ],
)
def test_what_may_stand_there_is_taken(validator, recipe, path, value):
    change(recipe, path, value)
    assert [error.message for error in validator.iter_errors(recipe)] == []


def test_only_a_recipe_that_extends_another_may_leave_things_out(validator):
    part = {"model": {"image": {"width": 128}}}
    assert not validator.is_valid(part)
    assert validator.is_valid({"extends": "clip/base", **part})


def test_every_installed_component_is_in_it_with_its_options(validator):
    told = str(validator.schema)
    for entry in plugins().registry.entries():
        if entry.kind in PLACES.values():
            assert f"'{entry.long_name}'" in told
    assert "'patch_dropout'" in told


def test_a_component_alone_is_described_as_a_recipe_writes_it():
    registry = plugins().registry
    for entry in registry.entries():
        if entry.kind in PLACES.values():
            schema = component_schema(entry)
            Draft7Validator.check_schema(schema)
            assert schema["properties"]["use"]["enum"] == [entry.name, entry.long_name]
    vit = Draft7Validator(component_schema(named("vit", registry)))
    assert vit.is_valid({"use": "vit", "patch": 4})
    assert not vit.is_valid({"use": "vit", "patch": 0})
    assert not vit.is_valid({"use": "vit", "pach": 4})


def test_names_are_found_short_and_long():
    registry = plugins().registry
    assert named("encoders/vit", registry) == named("vit", registry)
    assert named("objective/clip/clip", registry).kind == "objective"
    with pytest.raises(AmbiguousComponent, match="objective/clip/clip"):
        named("clip", registry)
    with pytest.raises(UnknownComponent, match="did you mean 'vit'"):
        named("vitt", registry)
