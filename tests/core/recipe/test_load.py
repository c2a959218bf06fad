"""Loading whole recipes: what comes out, and what is said about what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vlc_core.errors import RecipeError
from vlc_core.recipe import load_recipe, validate_components
from vlc_core.registry import Registry

MINIMAL = Path(__file__).with_name("minimal.yaml").read_text(encoding="utf-8")


def problems(load, text: str = MINIMAL, *sets: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(text, *sets)
    return list(caught.value.problems)


def test_a_minimal_recipe_is_short(load, here: Path):
    loaded = load()
    recipe = loaded.recipe
    assert recipe.name == "recipe"
    assert recipe.output == str(here / "runs" / "recipe")
    assert recipe.data.sampler.use == "shuffle"
    assert recipe.data.transform.use == "clip"
    assert recipe.model.tokenizer is None
    assert recipe.model.image.options == {"size": 8}
    assert recipe.objectives[0].name == "pull"
    assert recipe.objectives[0].options == {}
    assert recipe.data.train[0].options == {"path": str(here / "images")}


def test_where_gives_file_and_line_of_the_nearest_written_key(load):
    loaded = load()
    assert loaded.where("model.image.size") == "recipe.yaml:2"
    assert loaded.where("objectives.pull.weight") == "recipe.yaml:5"
    assert loaded.where("objectives.0") == "recipe.yaml:5"
    assert loaded.where(("data", "train", 0, "path")) == "recipe.yaml:8"
    assert loaded.where("data.workers") == "recipe.yaml:6"
    assert loaded.where("checkpoint.every") == "recipe.yaml:1"
    assert load(MINIMAL, "train.steps=3").where("train.steps") == "--set train.steps=3"


SHAPE = {
    "unknown key": (
        "train.stepz=5",
        "--set train.stepz=5: train.stepz: unknown key; did you mean 'steps'? allowed are steps, epochs,"
        " batch_size, micro_batch_size, precision, clip_grad_norm, max_skipped_steps, timeout, optimizer, schedule",
    ),
    "nothing like it": (
        "zzz=5",
        "--set zzz=5: zzz: unknown key; allowed are extends, name, seed, model, objectives, data, train, evaluate,"
        " checkpoint, deepspeed, output",
    ),
    "whole number": ("train.steps=1.5", "train.steps: must be a whole number, not 1.5"),
    "text for a number": ("train.steps='5'", "train.steps: must be a whole number, not the text '5'"),
    "truth for a number": ("train.optimizer.lr=true", "train.optimizer.lr: must be a number, not true"),
    "yes is text": (
        "model.temperature.learn=yes",
        "model.temperature.learn: must be true or false, not the text 'yes'",
    ),
    "above": ("train.optimizer.lr=0", "train.optimizer.lr: must be greater than 0, not 0"),
    "at least": ("data.workers=-1", "data.workers: must be at least 0, not -1"),
    "below": ("train.optimizer.betas=[0.9, 1]", "train.optimizer.betas.1: must be less than 1, not 1"),
    "infinite": ("train.optimizer.eps=.inf", "train.optimizer.eps: must be a finite number, not .inf"),
    "choice": (
        "train.precision=bf61",
        "train.precision: must be one of 'fp32', 'bf16' (nearest: 'bf16'), not the text 'bf61'",
    ),
    "list": ("objectives=5", "objectives: must be a list, not 5"),
    "empty list": ("objectives=[]", "objectives: must have at least 1 item, not a list of 0"),
    "mapping": ("train=5", "train: must be a mapping of keys to values, not 5"),
    "null": ("train.batch_size=null", "train.batch_size: must be a whole number, not nothing (null)"),
    "too few": ("train.optimizer.betas=[0.9]", "train.optimizer.betas.1: this key is required"),
    "no use": ("objectives=[{alpha: 1}]", "objectives.0.use: this key is required"),
    "both lengths": (
        "train.epochs=1",
        "train: exactly one of steps and epochs says how long to train; both are given",
    ),
    "no multiple": (
        "train={batch_size: 10, micro_batch_size: 4}",
        "train: batch_size 10 is no multiple of micro_batch_size 4",
    ),
    "temperature": (
        "model.temperature={min: 0.1}",
        "model.temperature: min ≤ init ≤ max must hold, here 0.1 ≤ 0.07 ≤ 1.0",
    ),
    "pattern": ("name=a/b", "name: must match ^[A-Za-z0-9][A-Za-z0-9._-]*$, not the text 'a/b'"),
    "union": ("data.train.files.prompts=5", "data.train.files.prompts: must be text or a list, not 5"),
}


@pytest.mark.parametrize(("argument", "message"), SHAPE.values(), ids=SHAPE)
def test_what_is_said_of_a_wrong_shape(load, argument: str, message: str):
    found = problems(load, MINIMAL, argument)
    assert len(found) == 1
    assert found[0] == (message if message.startswith("--set") else f"--set {argument}: {message}")


COMPONENTS = {
    "unknown": (
        "objectives=[{use: pul}]",
        "objectives.pul.use: no objective is called 'pul'; did you mean 'pull'? known are greedy, pull, push, twice,"
        " unfinished",
    ),
    "of a known plugin": (
        "objectives=[bic]",
        "objectives.bic.use: no objective is called 'bic' yet: pip install vlc-plugin-unicl",
    ),
    "ambiguous": (
        "objectives=[twice]",
        "objectives.twice.use: 'twice' is offered as objective by several plugins;"
        " write 'other/twice' or 'sample/twice'",
    ),
    "of another kind": (
        "model.text=eye",
        "model.text.use: no text encoder is called 'eye'; a component of that name is of kind image encoder",
    ),
    "option": (
        "objectives.pull.alpah=1",
        "objectives.pull.alpah: unknown option of 'pull'; did you mean 'alpha'? allowed are alpha",
    ),
    "option's type": ("model.image.size=big", "model.image.size: must be a whole number, not the text 'big'"),
    "option's bound": ("model.image.size=0", "model.image.size: must be greater than 0, not 0"),
    "choice": (
        "model.image.act=gulu",
        "model.image.act: must be one of 'relu', 'gelu' (nearest: 'gelu'), not the text 'gulu'",
    ),
    "enum": (
        "model.image.pool=avg",
        "model.image.pool: must be one of 'class', 'mean', not the text 'avg'",
    ),
    "required": ("data.train=[files]", "data.train.files.path: this option is required"),
    "nested option": (
        "evaluate.with=[{use: probe, data: {use: files, pth: x}}]",
        "evaluate.with.probe.data.pth: unknown option of 'files'; did you mean 'path'? allowed are path, more, token,"
        " retries, parts",
    ),
    "nested component": (
        "evaluate.with=[{use: probe, data: {use: file}}]",
        "evaluate.with.probe.data.use: no dataset is called 'file'; did you mean 'files'? known are files, joined,"
        " unwritable",
    ),
    "nested in a list": (
        "data.train=[{use: joined, of: [{use: files, path: 3}]}]",
        "data.train.joined.of.files.path: must be text, not 3",
    ),
    "prompts": (
        "data.train.files.prompts=foto",
        "data.train.files.prompts: no prompt set is called 'foto'; did you mean 'photo'? known are photo",
    ),
    "template": (
        "data.train.files.prompts=[a cat]",
        "data.train.files.prompts: every prompt template needs {} for the class name, 'a cat' has none",
    ),
    "option of prompts": (
        "evaluate.with=[{use: probe, data: {use: files, path: x}, prompts: fhoto}]",
        "evaluate.with.probe.prompts: no prompt set is called 'fhoto'; did you mean 'photo'? known are photo",
    ),
    "unfinished": (
        "objectives=[unfinished]",
        "objectives.unfinished.use: objective 'unfinished' of plugin 'sample': vlc_sample_parts:Unfinished does not"
        " implement forward",
    ),
    "reserved": (
        "objectives=[greedy]",
        "objectives.greedy.use: 'greedy' has an option named 'weight', which the recipe reads itself; its author"
        " must rename it",
    ),
    "one name twice": (
        "objectives=[pull, pull]",
        "objectives.1: another item is called 'pull' too; give one of them a name of its own",
    ),
}


@pytest.mark.parametrize(("argument", "message"), COMPONENTS.values(), ids=COMPONENTS)
def test_what_is_said_of_a_wrong_component(load, argument: str, message: str):
    found = problems(load, MINIMAL, argument)
    assert message in [p.removeprefix(f"--set {argument}: ") for p in found]


def test_both_passes_report_in_one_list_in_the_order_of_the_file(load):
    text = """\
model:
  image: {use: eye, sise: 8}
  text: {use: writer}
objectives:
  - {use: pull, alpha: high}
data:
  train:
    - {use: files, path: images}
  worker: 3
train: {steps: 0}
"""
    assert [p.split(": ")[:2] for p in problems(load, text)] == [
        ["recipe.yaml:2", "model.image.sise"],
        ["recipe.yaml:3", "model.text.use"],
        ["recipe.yaml:5", "objectives.pull.alpha"],
        ["recipe.yaml:9", "data.worker"],
        ["recipe.yaml:10", "train.steps"],
    ]


def test_default_components_are_checked_too(load, registry: Registry):
    registry.remove("sample")
    assert any("data.sampler.use: no sampler is called 'shuffle'" in p for p in problems(load))


def test_without_components_names_are_checked_and_options_are_not(load, registry: Registry):
    loaded = load(MINIMAL, "model.image.sise=1", components=False)
    assert loaded.recipe.data.train[0].options == {"path": "images"}
    with pytest.raises(RecipeError, match="unknown option of 'eye'"):
        validate_components(loaded, registry)
    with pytest.raises(RecipeError, match="did you mean 'pull'"):
        load(MINIMAL, "objectives=[pul]", components=False)


def test_the_second_pass_makes_paths_absolute(load, registry: Registry, here: Path):
    loaded = load(components=False)
    validate_components(loaded, registry)
    assert loaded.recipe.data.train[0].options == {"path": str(here / "images")}
    assert loaded.resolved["data"]["train"][0]["path"] == str(here / "images")


def test_paths_belong_to_the_file_that_wrote_them(here: Path, registry: Registry):
    (here / "base").mkdir()
    (here / "base" / "base.yaml").write_text(MINIMAL)
    (here / "child.yaml").write_text(
        "extends: base/base.yaml\n"
        "evaluate: {with: [{use: probe, cache: c, data: {use: files, path: s3://b/x, more: [m, /n]}}]}\n"
    )
    sets = ["data.train.files.more=[../up]", "data.train.files.parts={a: b}"]
    recipe = load_recipe("child.yaml", sets=sets, registry=registry).recipe
    assert recipe.data.train[0].options == {
        "path": str(here / "base" / "images"),
        "more": [str(here.parent / "up")],
        "parts": {"a": str(here / "b")},
    }
    assert recipe.evaluate.with_[0].options["cache"] == str(here / "c")
    assert recipe.evaluate.with_[0].options["data"] == {
        "use": "files",
        "path": "s3://b/x",
        "more": [str(here / "m"), "/n"],
    }


def test_variables_are_replaced_in_the_recipe_and_kept_in_the_resolved_one(load, here, monkeypatch):
    monkeypatch.setenv("STEPS", "7")
    monkeypatch.setenv("ROOT", "/data")
    text = MINIMAL.replace("steps: 10", 'steps: "${STEPS}"').replace("path: images", 'path: "${ROOT}/x"')
    loaded = load(text, "data.train.files.more=['a/${STEPS}', '$$x']")
    assert loaded.recipe.train.steps == 7
    assert loaded.recipe.data.train[0].options["path"] == "/data/x"
    assert loaded.recipe.data.train[0].options["more"] == [str(here / "a" / "7"), str(here / "$x")]
    assert loaded.resolved["train"]["steps"] == "${STEPS}"
    assert loaded.resolved["data"]["train"][0]["path"] == "${ROOT}/x"
    assert loaded.resolved["data"]["train"][0]["more"] == [str(here / "a" / "${STEPS}"), str(here / "$$x")]


def test_a_variable_that_looks_like_a_number_is_text_where_text_is_wanted(load, monkeypatch):
    monkeypatch.setenv("SECRET", "12345")
    loaded = load(MINIMAL, "data.train.files.token=${SECRET}", "data.train.files.retries=${SECRET}")
    assert loaded.recipe.data.train[0].options["token"] == "12345"
    assert loaded.recipe.data.train[0].options["retries"] == 12345


def test_a_missing_variable_is_named_with_its_place(load, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    found = problems(load, MINIMAL.replace("steps: 10", 'steps: "${NOWHERE}"'))
    assert found == [
        "recipe.yaml:9: train.steps: the environment variable NOWHERE is not set; set it, or write ${NOWHERE:-default}"
    ]


def test_no_message_and_no_file_shows_what_a_variable_holds(load, here, monkeypatch):
    monkeypatch.setenv("SECRET", "canary-5f1c")
    found = problems(load, MINIMAL, "train.steps=${SECRET}", "model.image.act=${SECRET}", "name=a/${SECRET}")
    assert len(found) == 3
    assert "must be a whole number, not the value of ${SECRET}" in "\n".join(found)
    assert "canary" not in "\n".join(found)
    load(MINIMAL, "data.train.files.token=${SECRET}").write(here / "resolved.yaml")
    assert "canary" not in (here / "resolved.yaml").read_text()


def test_the_resolved_recipe_loads_to_an_equal_one_from_elsewhere(load, here, registry, monkeypatch):
    monkeypatch.setenv("SECRET", "1e-3")
    odd = here / "a$$b${c"
    odd.mkdir()
    (odd / "base.yaml").write_text(MINIMAL)
    loaded = load(
        f"extends: '{str(odd).replace('$', '$$')}/base.yaml'\n"
        "evaluate: {with: [{use: probe, prompts: 'no {}', data: {use: files, path: d, token: 'null'}}]}\n"
        "deepspeed: {zero_optimization: {stage: 1}, list: [1, 2.5, .inf, true, 'true', '', '1e-3', '~', '<<']}\n",
        "data.train.files.token=${SECRET}",
        "train.optimizer.lr=1e-3",
    )
    (here / "sub").mkdir()
    loaded.write(here / "sub" / "resolved.yaml")
    os.chdir(here / "sub")
    again = load_recipe("resolved.yaml", registry=registry)
    assert again.recipe == loaded.recipe
    assert again.resolved == loaded.resolved
    assert again.recipe.data.train[0].options == {"path": str(odd / "images"), "token": "1e-3"}
    assert again.recipe.deepspeed["list"] == [1, 2.5, float("inf"), True, "true", "", "1e-3", "~", "<<"]


def test_the_resolved_recipe_holds_every_default(load):
    resolved = load().resolved
    assert resolved["train"]["optimizer"]["betas"] == [0.9, 0.98]
    assert resolved["checkpoint"] == {"every": 1000, "keep": 3}
    assert "extends" not in resolved


def test_many_problems_are_cut_short(load):
    found = problems(load, MINIMAL + "".join(f"key{i}: 1\n" for i in range(80)))
    assert len(found) == 51
    assert found[-1] == "… and 30 more problems"


def test_overrides_that_are_wrong_are_reported_beside_the_rest(load):
    found = problems(load, MINIMAL, "train.stepz=5", "nonsense", "objectives.pusch.alpha=1")
    assert found[0].startswith("--set nonsense: write it as key.path=value")
    assert "objectives has no item 'pusch'; it has pull" in found[1]
    assert "unknown key; did you mean 'steps'" in found[2]
