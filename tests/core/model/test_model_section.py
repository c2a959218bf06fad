"""The model section of a recipe: what towers start from, what of them is trained, and what it takes over."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from vlc_core import Encoded, ImageEncoder
from vlc_core.errors import RecipeError
from vlc_core.options import RESERVED, check
from vlc_core.recipe import Recipe, load_recipe
from vlc_core.recipe.changes import compare, effect_of
from vlc_core.recipe.schema import Head, Tower
from vlc_core.registry import Registrar, Registry

RECIPE = """\
model:
  image: {use: eye, size: 8}
  text: reader
objectives: [{use: pull}]
data: {train: [{use: files, path: images}]}
train: {steps: 10}
"""
FROM = RECIPE.replace("  image: {use: eye, size: 8}\n  text: reader", "  from: other")
SECTION: dict[str, Any] = {
    "image": {"use": "eye", "size": 6, "head": {"use": "mlp", "hidden": 9}},
    "text": {"use": "reader", "width": 5},
    "tokenizer": {"use": "words"},
    "embed_dim": 7,
    "temperature": {"init": 0.2, "learn_as": "temperature"},
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry):
    monkeypatch.chdir(tmp_path)

    def load(text: str = RECIPE, *sets: str):
        (tmp_path / "recipe.yaml").write_text(text)
        return load_recipe("recipe.yaml", sets=sets, registry=registry)

    return load


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A run's folder as far as a recipe reads it."""
    (tmp_path / "other" / "model").mkdir(parents=True)
    (tmp_path / "other" / "model" / "model.json").write_text(json.dumps(SECTION))
    return tmp_path / "other"


def test_by_default_all_is_trained_from_scratch_through_one_matrix(load):
    model = load().recipe.model
    assert model.from_ is None
    assert model.embed_dim is None
    for tower in (model.image, model.text):
        assert (tower.pretrained, tower.freeze, tower.layer_decay, tower.compile) == (None, 0, 1.0, False)
        assert tower.head == Head(use="linear")


def test_keys_of_the_tower_are_no_options_of_the_encoder(load):
    sets = ["model.image={freeze: 2, layer_decay: 0.5, compile: true, pretrained: w.safetensors, head: none}"]
    image = load(RECIPE, *sets).recipe.model.image
    assert image.options == {"size": 8}
    assert (image.freeze, image.layer_decay, image.compile, image.head.use) == (2, 0.5, True, "none")


class Cold(ImageEncoder):
    """Has an option that the recipe reads itself."""

    def __init__(self, *, freeze: int = 1) -> None:
        super().__init__()

    def forward(self, pixels: Tensor) -> Encoded:
        raise NotImplementedError


def test_an_encoder_with_an_option_of_such_a_name_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    assert RESERVED["image_encoder"] == RESERVED["text_encoder"] == set(Tower.model_fields)
    monkeypatch.setitem(sys.modules, "vlc_sample_cold", types.SimpleNamespace(Cold=Cold))
    Registrar(registry, "sample").image_encoder("cold", "vlc_sample_cold:Cold")
    problems = check(registry, "image_encoder", "cold", {}).problems
    assert [str(p) for p in problems] == [
        "'cold' has an option named 'freeze', which the recipe reads itself; its author must rename it"
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("linear", {"use": "linear"}),
        ("none", {"use": "none"}),
        ("mlp", {"use": "mlp"}),
        ("{use: mlp, hidden: 5, layers: 3, activation: relu}", {"hidden": 5, "layers": 3, "activation": "relu"}),
    ],
)
def test_heads_by_name_or_with_options(load, written: str, expected: dict[str, Any]):
    head = load(RECIPE, f"model.text.head={written}").recipe.model.text.head
    assert {key: getattr(head, key) for key in expected} == expected


def test_another_head_takes_nothing_from_the_one_before(load):
    head = load(RECIPE, "model.text.head={use: mlp, hidden: 5}", "model.text.head=none").recipe.model.text.head
    assert head == Head(use="none")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (
            "image.head={use: linear, hidden: 3}",
            "model.image.head: hidden, layers and activation belong to the head mlp",
        ),
        ("image.head=mpl", "model.image.head.use: must be one of 'linear', 'mlp', 'none' (nearest: 'mlp')"),
        ("image.head={use: mlp, hiden: 3}", "model.image.head.hiden: unknown key; did you mean 'hidden'?"),
        ("image.head={use: mlp, layers: 1}", "model.image.head.layers: must be at least 2"),
        ("text.freeze=al", "model.text.freeze: must be one of 'all', 'encoder' (nearest: 'all') or a whole number"),
        ("text.freeze=-1", "model.text.freeze: must be one of 'all', 'encoder' or at least 0, not -1"),
        ("text.freeze=true", "model.text.freeze: must be one of 'all', 'encoder' or a whole number, not true"),
        ("text.layer_decay=0", "model.text.layer_decay: must be greater than 0"),
        ("text.layer_decay=1.1", "model.text.layer_decay: must be at most 1"),
        ("text.compile=1", "model.text.compile: must be true or false"),
        ("text.pretrained=3", "model.text.pretrained: must be text, not 3"),
        ("from=''", "model.from: must have at least 1 character"),
        ("image.freez=all", "model.image.freez: unknown option of 'eye'"),
    ],
)
def test_what_is_wrong_is_said_at_its_key(load, key: str, sentence: str):
    with pytest.raises(RecipeError) as caught:
        load(RECIPE, f"model.{key}")
    assert sentence in str(caught.value)


def test_paths_belong_to_the_file_that_wrote_them(load, tmp_path: Path, registry: Registry):
    base = RECIPE.replace("size: 8}", "size: 8, pretrained: w.safetensors}").replace("model:", "model:\n  from: run")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "base.yaml").write_text(base)
    loaded = load("extends: below/base.yaml\n", "model.text.pretrained=t.safetensors")
    model = loaded.recipe.model
    assert model.from_ == str(tmp_path / "below" / "run")
    assert model.image.pretrained == str(tmp_path / "below" / "w.safetensors")
    assert model.text.pretrained == str(tmp_path / "t.safetensors")
    loaded.write(tmp_path / "resolved.yaml")
    again = load_recipe(tmp_path / "resolved.yaml", registry=registry).recipe
    assert compare(again, loaded.recipe) == []


def test_a_run_tells_the_encoders_that_the_recipe_does_not(load, other: Path):
    model = load(FROM).recipe.model
    assert model.image.options == {"size": 6}
    assert model.image.head == Head(use="mlp", hidden=9)
    assert model.text.options == {"width": 5}
    assert model.tokenizer is not None
    assert model.tokenizer.use == "words"
    assert model.embed_dim == 7
    assert (model.temperature.init, model.temperature.learn_as) == (0.2, "temperature")


def test_the_recipe_is_laid_over_the_run(load, other: Path):
    sets = ["model.image={freeze: all, act: relu}", "model.text={use: sample/reader, context: 4}", "model.embed_dim=3"]
    model = load(FROM, *sets).recipe.model
    assert model.image.options == {"size": 6, "act": "relu"}
    assert model.image.freeze == "all"
    assert model.text.options == {"width": 5, "context": 4}
    assert model.embed_dim == 3


def test_a_model_folder_or_a_variable_will_do(load, other: Path, monkeypatch: pytest.MonkeyPatch):
    assert load(FROM.replace("other", "other/model")).recipe.model.embed_dim == 7
    monkeypatch.setenv("WHERE", str(other))
    assert load(FROM.replace("other", "${WHERE}")).recipe.model.embed_dim == 7


def test_what_looks_like_a_variable_in_a_run_is_none(load, other: Path):
    section = SECTION | {"text": {"use": "reader", "pretrained": "${NEVER_SET}/$$x"}}
    (other / "model" / "model.json").write_text(json.dumps(section))
    assert load(FROM).recipe.model.text.pretrained.endswith("${NEVER_SET}/$$x")


@pytest.mark.parametrize("content", [None, "[]", "{"])
def test_no_model_and_no_encoders_is_refused_at_the_key(load, tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "model.json").write_text(content)
    with pytest.raises(RecipeError) as caught:
        load(FROM)
    assert caught.value.problems[0].startswith("recipe.yaml:2: model.from: ")
    assert "holds no model: give a run folder" in caught.value.problems[0]


def test_a_recipe_that_says_all_itself_outlives_the_run(load):
    assert load(RECIPE.replace("model:", "model:\n  from: gone")).recipe.model.image.options == {"size": 8}


def test_a_resumed_run_may_begin_elsewhere_but_not_train_something_else():
    for side in ("image", "text"):
        assert effect_of(("model", side, "pretrained")) == "warn"
        assert effect_of(("model", side, "layer_decay")) == "warn"
        assert effect_of(("model", side, "compile")) == "warn"
        assert effect_of(("model", side, "freeze")) == "refuse"
        assert effect_of(("model", side, "head")) == "refuse"
    assert effect_of(("model", "from")) == "warn"


def test_the_json_schema_knows_the_keys():
    schema = Recipe.model_json_schema()["$defs"]
    keys = schema["Tower"]["anyOf"][1]["properties"]
    assert set(keys) == {"use", "pretrained", "freeze", "layer_decay", "compile", "head"}
    assert "from" in schema["Model"]["properties"]
    assert {"type": "string"} in schema["Head"]["anyOf"]
