"""Laying one recipe over another, and ``--set`` as such a layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlc_core.errors import RecipeError
from vlc_core.recipe.merge import merge
from vlc_core.recipe.overrides import override
from vlc_core.recipe.tree import Mark, Node
from vlc_core.recipe.yaml import parse


def tree(text: str, source: str = "base.yaml") -> Node:
    node = parse(text, Mark(source, 1, Path("/")))
    assert node is not None
    return node


def merged(base: str, over: str):
    return merge(tree(base), tree(over, "over.yaml")).plain()


CASES = {
    "new key": ("a: 1", "b: 2", {"a": 1, "b": 2}),
    "scalar": ("a: 1", "a: 2", {"a": 2}),
    "null is a value": ("a: {b: 1}", "a: null", {"a": None}),
    "deep": ("a: {b: {c: 1, d: 2}}", "a: {b: {c: 3}}", {"a": {"b": {"c": 3, "d": 2}}}),
    "mapping over scalar": ("a: 1", "a: {b: 2}", {"a": {"b": 2}}),
    "scalar over mapping": ("a: {b: 2}", "a: 1", {"a": 1}),
    "list replaces": ("a: [1, 2]", "a: [3]", {"a": [3]}),
    "same use merges": ("a: {use: x, b: 1}", "a: {use: x, c: 2}", {"a": {"use": "x", "b": 1, "c": 2}}),
    "no use merges": ("a: {use: x, b: 1}", "a: {c: 2}", {"a": {"use": "x", "b": 1, "c": 2}}),
    "other use replaces": ("a: {use: x, b: 1}", "a: {use: y, c: 2}", {"a": {"use": "y", "c": 2}}),
    "long name merges": ("a: {use: x, b: 1}", "a: {use: p/x}", {"a": {"use": "p/x", "b": 1}}),
    "other plugin replaces": ("a: {use: p/x, b: 1}", "a: {use: q/x}", {"a": {"use": "q/x"}}),
    "use that is no text": ("a: {use: 1, b: 1}", "a: {use: y}", {"a": {"use": "y"}}),
    "patch by use": (
        "a: [{use: x}, {use: p/y, b: 1}]",
        "a: {y: {b: 2}}",
        {"a": [{"use": "x"}, {"use": "p/y", "b": 2}]},
    ),
    "patch by name": ("a: [{use: x, name: n}]", "a: {n: {b: 2}}", {"a": [{"use": "x", "name": "n", "b": 2}]}),
    "patch by index": ("a: [{use: x}, {use: x}]", "a: {1: {b: 2}}", {"a": [{"use": "x"}, {"use": "x", "b": 2}]}),
    "patch a plain list": ("a: [1, 2]", "a: {1: 5}", {"a": [1, 5]}),
    "remove by name": ("a: [{use: x}, {use: y}]", "a: {x: null}", {"a": [{"use": "y"}]}),
    "remove by index": ("a: [1, 2, 3]", "a: {0: null, 2: null}", {"a": [2]}),
    "add": ("a: [{use: x}]", "a: {y: {use: y}}", {"a": [{"use": "x"}, {"use": "y"}]}),
    "add under a name": ("a: [{use: x}]", "a: {n: {use: x}}", {"a": [{"use": "x"}, {"use": "x", "name": "n"}]}),
    "replace an item": ("a: [{use: x, b: 1}]", "a: {x: {use: y}}", {"a": [{"use": "y", "name": "x"}]}),
    "replace a named item": (
        "a: [{use: x, name: n, b: 1}]",
        "a: {n: {use: y}}",
        {"a": [{"use": "y", "name": "n"}]},
    ),
    "a name that is a number": (
        "a: [{name: '1'}, {name: k}]",
        "a: {1: {b: 2}}",
        {"a": [{"name": "1", "b": 2}, {"name": "k"}]},
    ),
    "items in a list in an item": (
        "a: [{use: x, of: [{use: y}]}]",
        "a: {x: {of: {y: {b: 1}}}}",
        {"a": [{"use": "x", "of": [{"use": "y", "b": 1}]}]},
    ),
}


@pytest.mark.parametrize(("base", "over", "result"), CASES.values(), ids=CASES)
def test_rules(base: str, over: str, result: object):
    assert merged(base, over) == result


REFUSED = {
    "unknown item": (
        "a: [{use: clip}, {use: mlm}]",
        "a:\n  clop: {b: 1}",
        "over.yaml:2: a.clop: a has no item 'clop'; did you mean 'clip'? it has clip, mlm",
    ),
    "removing what is not there": (
        "a: [{use: clip}]",
        "a: {mlm: null}",
        "over.yaml:1: a.mlm: a has no item 'mlm'; it has clip",
    ),
    "index too high": ("a: [1, 2]", "a: {2: 5}", "over.yaml:1: a.2: a has no item '2'; it has 2 items without names"),
    "negative index": (
        "a: [1, 2]",
        "a: {-1: 5}",
        "over.yaml:1: a.-1: a has no item '-1'; it has 2 items without names",
    ),
    "two of a name": (
        "x: {a: [{use: f}, {use: f}]}",
        "x: {a: {f: {b: 1}}}",
        "over.yaml:1: x.a.f: 2 items go by that name; use an index, 0 to 1",
    ),
}


@pytest.mark.parametrize(("base", "over", "said"), REFUSED.values(), ids=REFUSED)
def test_patches_of_what_is_not_there(base: str, over: str, said: str):
    with pytest.raises(RecipeError) as caught:
        merged(base, over)
    assert str(caught.value) == said


def test_merged_values_keep_their_own_marks():
    both = merge(tree("a:\n  b: 1\n  c: 2\n"), tree("\n\na: {c: 3}\n", "over.yaml"))
    assert str(both.at(("a", "b")).mark) == "base.yaml:2"  # type: ignore[union-attr]
    assert str(both.at(("a", "c")).mark) == "over.yaml:3"  # type: ignore[union-attr]


def test_neither_layer_is_changed():
    base, over = tree("a: {b: [1, {use: x}]}"), tree("a: {b: {x: {c: 1}}}")
    before = base.plain(), over.plain()
    merge(base, over)
    assert (base.plain(), over.plain()) == before


SETS = {
    "a.b=1": {"a": {"b": 1}},
    "a=1e-3": {"a": 1e-3},
    "a=no": {"a": "no"},
    "a=": {"a": None},
    "a=null": {"a": None},
    "a= x=y ": {"a": "x=y"},
    " a =1": {"a": 1},
    "a=[{use: clip}, 2]": {"a": [{"use": "clip"}, 2]},
    "a={b: 1}": {"a": {"b": 1}},
    "a='1'": {"a": "1"},
    "a.0.b-c=${X}": {"a": {"0": {"b-c": "${X}"}}},
    "a=s3://b/c#d": {"a": "s3://b/c#d"},
}


@pytest.mark.parametrize(("argument", "layer"), SETS.items())
def test_override(argument: str, layer: object):
    node = override(argument)
    assert node.plain() == layer
    assert all(str(leaf.mark) == f"--set {argument}" for _, leaf in node.scalars())


@pytest.mark.parametrize("argument", ["", "a", "=1", ".a=1", "a..b=1", "a.=1"])
def test_override_of_the_wrong_form(argument: str):
    with pytest.raises(RecipeError) as caught:
        override(argument)
    assert str(caught.value) == f"--set {argument}: write it as key.path=value, such as train.steps=1000"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("a=[1", "not YAML"),
        ("a=!!python/name:os.system x", "the tag"),
        ("a={b: 1, b: 2}", "the key 'b' stands twice"),
        ("a=x: y: z", "a ':' too many"),
        ("extends=x", "what a recipe extends is settled in its file"),
    ],
)
def test_override_with_a_wrong_value(argument: str, said: str):
    with pytest.raises(RecipeError) as caught:
        override(argument)
    assert str(caught.value).startswith(f"--set {argument}: ")
    assert said in str(caught.value)


def test_override_with_characters_that_no_terminal_prints():
    with pytest.raises(RecipeError) as caught:
        override("a=\udcff\n\x07")
    assert str(caught.value).isprintable()
    assert str(override("a=1\n#" + "x" * 200).mark) == "--set a=1 #" + "x" * 115 + "…"
