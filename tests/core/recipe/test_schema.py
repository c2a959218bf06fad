"""The keys of a recipe: described, with sound defaults, and one effect each on a run that goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from vlc_core.errors import RecipeError
from vlc_core.recipe import Recipe, compare
from vlc_core.recipe.changes import EFFECTS, effect_of, refuse_changes
from vlc_core.recipe.schema import Evaluate, Objective, Temperature, Train, Use

MINIMAL = Path(__file__).with_name("minimal.yaml").read_text(encoding="utf-8")
Fields = Iterator[tuple[tuple[str, ...], Any]]


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


def fields(model: type[BaseModel] = Recipe, path: tuple[str, ...] = ()) -> Fields:
    """Every key of the recipe that has no keys of its own below it, and every section."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield here, field
        for below in models(field.annotation):
            yield from fields(below, here)


ALL = dict(fields())
LEAVES = [p for p in ALL if not any(q[: len(p)] == p and q != p for q in ALL)]


def test_there_are_fields_to_test():
    assert len(LEAVES) > 30
    assert ("train", "optimizer", "lr") in LEAVES


@pytest.mark.parametrize("path", ALL, ids=".".join)
def test_every_key_is_described(path: tuple[str, ...]):
    assert len(ALL[path].description or "") > 5


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_every_key_has_an_effect(path: tuple[str, ...]):
    assert any(path[:n] in EFFECTS for n in range(1, len(path) + 1)), f"{path} has no class in EFFECTS"


def test_every_effect_is_of_a_key_that_exists():
    assert set(EFFECTS) <= set(ALL)


def test_only_whole_sections_have_one_effect_for_all():
    """A new key of data or train must get an effect of its own."""
    assert ("data",) not in EFFECTS
    assert ("train",) not in EFFECTS


@pytest.mark.parametrize(
    ("path", "effect"),
    [
        (("train", "steps"), "warn"),
        (("train", "optimizer", "lr"), "warn"),
        (("train", "optimizer", "use"), "refuse"),
        (("train", "batch_size"), "refuse"),
        (("model", "image", "size"), "refuse"),
        (("model", "tokenizer"), "refuse"),
        (("objectives", 0, "weight"), "refuse"),
        (("data", "train", 0, "path"), "refuse"),
        (("data", "workers"), "free"),
        (("checkpoint", "every"), "free"),
        (("evaluate", "with", 0, "data"), "free"),
        (("output",), "free"),
        (("seed",), "refuse"),
        (("deepspeed", "zero_optimization", "stage"), "warn"),
        (("what", "nobody", "knows"), "refuse"),
    ],
)
def test_effects(path: tuple[str | int, ...], effect: str):
    assert effect_of(path) == effect


def test_compare_names_what_differs(load):
    old = load()
    new = load(
        MINIMAL,
        "train.optimizer.lr=1e-3",
        "model.image.size=10",
        "objectives.pull.alpha=0.3",
        "data.workers=2",
        "evaluate.with=[{use: probe, data: {use: files, path: x}}]",
    )
    changes = {c.key: (c.old, c.new, c.effect) for c in compare(old.recipe, new.recipe)}
    added = changes.pop("evaluate.with")
    assert added[0] == []
    assert added[2] == "free"
    assert changes == {
        "model.image.size": (8, 10, "refuse"),
        "objectives.pull.alpha": (None, 0.3, "refuse"),
        "data.workers": (0, 2, "free"),
        "train.optimizer.lr": (5e-4, 1e-3, "warn"),
    }


def test_writing_a_default_out_is_no_change(load):
    assert compare(load().recipe, load(MINIMAL, "train.batch_size=256", "data.sampler=shuffle").recipe) == []


def test_refuse_changes(load, here: Path, registry, monkeypatch):
    monkeypatch.setenv("SECRET", "canary-1")
    began = load(MINIMAL, "data.train.files.token=${SECRET}")
    (here / "run").mkdir()
    began.write(here / "run" / "recipe.yaml")
    path = here / "run" / "recipe.yaml"
    assert refuse_changes(path, began, registry, allow=False) == []

    warned = load(MINIMAL, "data.train.files.token=${SECRET}", "train.steps=20")
    assert [str(c) for c in refuse_changes(path, warned, registry, allow=False)] == ["train.steps: 10 became 20"]

    other = load(MINIMAL, "data.train.files.token=x", "seed=1")
    with pytest.raises(RecipeError) as caught:
        refuse_changes(path, other, registry, allow=False)
    told = caught.value.problems
    assert "--allow-changes" in told[0]
    assert told[1:] == (
        "--set seed=1: seed: 0 became 1",
        "--set data.train.files.token=x: data.train.files.token: '${SECRET}' became 'x'",
    )
    assert len(refuse_changes(path, other, registry, allow=True)) == 2
    assert "canary" not in str(caught.value)


def test_a_component_keeps_its_options_apart_from_its_name():
    use = Use.model_validate({"use": "vit", "size": 3, "model_x": [1], "options": 2, "schema": {"a": 1}})
    assert use.use == "vit"
    assert use.options == {"size": 3, "model_x": [1], "options": 2, "schema": {"a": 1}}
    assert Use.model_validate("vit") == Use(use="vit")
    assert use.model_dump() == {"use": "vit", **use.options}
    objective = Objective.model_validate({"use": "tcl/cma", "alpha": 1, "weight": 2})
    assert (objective.name, objective.weight, objective.options) == ("cma", 2, {"alpha": 1})


def test_sections_are_never_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Temperature().init = 1.0  # type: ignore[misc]


def test_sections_can_be_made_in_code():
    assert Train(steps=3).schedule.use == "cosine"
    assert Train(epochs=0.5).epochs == 0.5
    assert Evaluate.model_validate({"with": ["probe"]}).with_[0].name == "probe"
    with pytest.raises(ValidationError, match="neither is given"):
        Train()


def test_the_json_schema_describes_what_editors_complete():
    schema = Recipe.model_json_schema()
    json.dumps(schema)
    assert schema["required"] == ["model", "objectives", "data", "train"]
    assert schema["additionalProperties"] is False
    image = schema["$defs"]["Model"]["properties"]["image"]
    assert "The image encoder." in json.dumps(image)
    use = schema["$defs"]["Use"]
    assert {"type": "string"} in use["anyOf"]
    assert "with" in schema["$defs"]["Evaluate"]["properties"]
