"""Whatever stands in a recipe or a ``--set``, only a RecipeError comes out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlc_core.errors import RecipeError
from vlc_core.recipe import load_recipe
from vlc_core.recipe.tree import Mark
from vlc_core.recipe.write import dump
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry

FULL = """\
name: x
seed: 1
model:
  image: {use: eye, size: 8, pool: class, spread: [0.1, 1.0]}
  text: {use: reader, width: 6}
  fusion: {use: fuse, depth: 2}
  tokenizer: {use: fancy-words, size: 10, lower: false}
  embed_dim: 8
  temperature: {init: 0.1, learn_as: temperature}
objectives:
  - {use: pull, alpha: 0.1}
  - {use: push, name: second, weight: 0.5}
data:
  train:
    - {use: files, path: a, more: [b, s3://c], token: "${HOME}"}
    - {use: joined, of: [{use: files, path: d}], also: {use: files, path: e}, prompts: photo}
  sampler: shuffle
  workers: 2
train:
  steps: 10
  batch_size: 8
  micro_batch_size: 4
  optimizer: {lr: 1e-3, betas: [0.9, 0.99]}
  schedule: {use: linear, warmup: 2}
evaluate:
  every: 5
  with: [{use: probe, data: {use: files, path: f}, prompts: ["a {}"], cache: g}]
checkpoint: {every: 5, keep: 1}
deepspeed: {zero_optimization: {stage: 1}}
output: out
"""
DATA: Any = parse(FULL, Mark("full.yaml", 1, Path("/"))).plain()  # type: ignore[union-attr]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64) + 1, 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(alphabet="abz{}$./:-~ ", max_size=8)
    | st.sampled_from(["eye", "files", "photo", "${NOT_SET}", "${", "a {}", "use", "sample/pull", "twice"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["use", "name", "path", "weight", "0", "x", "data"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(p for key, child in children for p in paths(child, (*path, key)))]


PATHS = [p for p in paths(DATA) if p]


def changed(changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    data = copy.deepcopy(DATA)
    for path, value in changes:
        container = data
        try:
            for key in path[:-1]:
                container = container[key]
            container[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    return data


def attempt(source: Path, registry: Registry, sets: list[str]) -> None:
    try:
        loaded = load_recipe(source, registry=registry, sets=sets)
    except RecipeError as error:
        problems = error.problems
    else:
        problems = ("none",)
        loaded.write(source.with_name("again.yaml"))
        assert load_recipe(source.with_name("again.yaml"), registry=registry).recipe == loaded.recipe
    assert problems
    assert all(p.strip() and "\n" not in p for p in problems)


def test_the_full_recipe_is_sound(here: Path, registry: Registry):
    (here / "full.yaml").write_text(FULL)
    assert load_recipe("full.yaml", registry=registry).recipe.objectives[1].name == "second"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_values_of_any_kind_in_any_place(here: Path, registry: Registry, changes: Any):
    (here / "fuzz.yaml").write_text(dump(changed(changes)), encoding="utf-8")
    attempt(here / "fuzz.yaml", registry, [])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=VALUES, raw=st.text(alphabet="ab.=[]{}:,&*!0 '\"$", max_size=12))
def test_overrides_of_any_kind(here: Path, registry: Registry, path: Any, value: Any, raw: str):
    (here / "full.yaml").write_text(FULL)
    key = ".".join(map(str, path))
    attempt(here / "full.yaml", registry, [f"{key}={dump({'v': value})[3:].strip()}"])
    attempt(here / "full.yaml", registry, [f"{key}={raw}", raw])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(FULL)),
    length=st.integers(0, 30),
    insert=st.text(alphabet="ab:-[]{}&*!|>'\" \n\t#,0", max_size=6),
)
def test_damaged_files(here: Path, registry: Registry, at: int, length: int, insert: str):
    (here / "damaged.yaml").write_text(FULL[:at] + insert + FULL[at + length :])
    attempt(here / "damaged.yaml", registry, [])
