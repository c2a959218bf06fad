"""A class's signature as options: read, described, checked and used."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from vlc_core import Dataset
from vlc_core.errors import DataError, RecipeError, UnknownComponent
from vlc_core.options import Component, PathLike, build, check, describe, options_model, templates
from vlc_core.options.docstrings import argument_texts, first_line
from vlc_core.options.signatures import marked, read_options
from vlc_core.options.use import Use
from vlc_core.registry import Registrar, Registry


def part(name: str) -> Any:
    return getattr(sys.modules["vlc_sample_parts"], name)


def said(registry: Registry, kind: str, use: str, **options: Any) -> list[str]:
    return [f"{'.'.join(map(str, p.path))}: {p}" for p in check(registry, kind, use, options).problems]


@pytest.mark.parametrize(
    ("option", "value", "arrives"),
    [
        ("size", 4, 4),
        ("pool", "class", "CLASS"),
        ("act", "relu", "relu"),
        ("drop", 0, 0.0),
        ("drop", 0.5, 0.5),
        ("spread", [1, 2], (1.0, 2.0)),
        ("bias", False, False),
        ("depth", None, None),
        ("depth", 3, 3),
    ],
)
def test_values_that_pass(registry: Registry, option: str, value: Any, arrives: Any):
    eye = build(registry, "image_encoder", Use.model_validate({"use": "eye", option: value}))
    got = eye.size if option == "size" else eye.seen[option]
    if option == "pool":
        arrives = part("Pool")[arrives]
    assert got == arrives
    assert type(got) is type(arrives)


def test_defaults_are_the_class_s_own(registry: Registry):
    eye = build(registry, "image_encoder", Use(use="sample/eye"))
    assert eye.size == 8
    assert eye.seen == {
        "pool": part("Pool").MEAN,
        "act": "gelu",
        "drop": 0.0,
        "spread": (0.5, 1.0),
        "bias": True,
        "depth": None,
    }


WRONG: dict[tuple[str, Any], str] = {
    ("size", "3"): "size: must be a whole number, not the text '3'",
    ("size", 3.0): "size: must be a whole number, not 3.0",
    ("size", True): "size: must be a whole number, not true",
    ("size", None): "size: must be a whole number, not nothing (null)",
    ("size", 0): "size: must be greater than 0, not 0",
    ("pool", "clas"): "pool: must be one of 'class', 'mean' (nearest: 'class'), not the text 'clas'",
    ("pool", 1): "pool: must be one of 'class', 'mean', not 1",
    ("act", "Relu"): "act: must be one of 'relu', 'gelu' (nearest: 'relu'), not the text 'Relu'",
    ("drop", 1): "drop: must be less than 1, not 1",
    ("drop", -0.5): "drop: must be at least 0, not -0.5",
    ("drop", "0.5"): "drop: must be a number, not the text '0.5'",
    ("drop", False): "drop: must be a number, not false",
    ("spread", (1,)): "spread.1: this option is required",
    ("spread", (1, 2, 3)): "spread: must have at most 2 items, not a list of 3",
    ("spread", (1, "x")): "spread.1: must be a number, not the text 'x'",
    ("spread", 1): "spread: must be a list, not 1",
    ("bias", "yes"): "bias: must be true or false, not the text 'yes'",
    ("bias", 1): "bias: must be true or false, not 1",
    ("depth", "x"): "depth: must be a whole number, not the text 'x'",
    (
        "sise",
        1,
    ): "sise: unknown option of 'eye'; did you mean 'size'? allowed are size, pool, act, drop, spread, bias, depth",
    ("o_size", 1): "o_size: unknown option of 'eye'; did you mean 'size'?",
}


@pytest.mark.parametrize(("given_", "message"), WRONG.items(), ids=map(str, WRONG))
def test_values_that_do_not(registry: Registry, given_: tuple[str, Any], message: str):
    option, value = given_
    value = list(value) if isinstance(value, tuple) else value
    found = said(registry, "image_encoder", "eye", **{option: value})
    assert len(found) == 1
    assert found[0].startswith(message)
    with pytest.raises(RecipeError) as caught:
        build(registry, "image_encoder", Use.model_validate({"use": "eye", option: value}), where="model.image")
    assert str(caught.value).startswith(f"model.image: {message}")


def test_all_problems_of_a_component_at_once(registry: Registry):
    assert len(said(registry, "image_encoder", "eye", size=0, pool="x", sise=1, spread=[1])) == 4


def test_positional_parameters_are_the_framework_s(registry: Registry):
    fuse = build(registry, "fusion_encoder", Use.model_validate({"use": "fuse", "depth": 3}), 16, 32)
    assert (fuse.width, fuse.depth) == (16, 3)
    assert "unknown option" in said(registry, "fusion_encoder", "fuse", text_width=3)[0]


def test_options_of_a_parent_that_are_passed_on(registry: Registry):
    assert [o.name for o in read_options(part("FancyWords"))] == ["size", "lower"]
    words = build(registry, "tokenizer", Use.model_validate({"use": "fancy-words", "lower": False, "size": 3}))
    assert (words.lower, words.size) == (False, 3)
    assert [o.name for o in read_options(part("Pull"))] == ["alpha"], "the rest goes nowhere"
    assert read_options(part("Unfinished")) == ()


def test_what_a_class_refuses_itself(registry: Registry):
    with pytest.raises(RecipeError) as caught:
        build(registry, "image_encoder", Use.model_validate({"use": "eye", "size": 3}), where="r.yaml:2: model.image")
    assert str(caught.value) == "r.yaml:2: model.image: size 3 is odd"
    with pytest.raises(RecipeError, match="image encoder 'eye': size 3 is odd"):
        build(registry, "image_encoder", Use.model_validate({"use": "eye", "size": 3}))


def test_components_in_options_are_built_first(registry: Registry):
    files = {"use": "files", "path": "/a"}
    joined = build(registry, "dataset", Use.model_validate({"use": "joined", "of": [files, files], "also": files}))
    assert [type(d) for d in [*joined.of, joined.also]] == [part("Files")] * 3
    assert joined.also.path == "/a"
    nested = build(registry, "dataset", Use.model_validate({"use": "joined", "of": [{"use": "joined", "of": [files]}]}))
    assert nested.of[0].of[0].path == "/a"
    assert nested.also is None
    spec = Use.model_validate({"use": "probe", "data": files, "prompts": "photo"})
    assert build(registry, "evaluator", spec).prompts == ("a photo of {}", "a picture of {}")


NESTED: dict[str, tuple[Any, str]] = {
    "unknown": ({"use": "fils", "path": "x"}, "data.use: no dataset is called 'fils'; did you mean 'files'?"),
    "bare name without options": ("files", "data.path: this option is required"),
    "option": ({"use": "files", "path": 3}, "data.path: must be text, not 3"),
    "no use": ({"path": "x"}, "data.use: this option is required"),
    "no component": (3, "data: must be a mapping of keys to values, not 3"),
    "deeper": (
        {"use": "joined", "of": [{"use": "files", "path": "x", "retries": "y"}]},
        "data.of.0.retries: must be a whole number, not the text 'y'",
    ),
    "list for one": ({"use": "joined", "of": {"use": "files"}}, "data.of: must be a list, not a mapping"),
}


@pytest.mark.parametrize(("value", "message"), NESTED.values(), ids=NESTED)
def test_problems_of_nested_components(registry: Registry, value: Any, message: str):
    assert any(p.startswith(message) for p in said(registry, "evaluator", "probe", data=value))
    with pytest.raises(RecipeError):
        build(registry, "evaluator", Use.model_validate({"use": "probe", "data": value}))


def test_paths_are_found_wherever_they_are(registry: Registry):
    options = {
        "data": {"use": "joined", "of": [{"use": "files", "path": "a", "more": ["b"], "parts": {"k": "c"}}]},
        "cache": "d",
    }
    assert check(registry, "evaluator", "probe", options, ("evaluate", 0)).paths == [
        ("evaluate", 0, "data", "of", 0, "path"),
        ("evaluate", 0, "data", "of", 0, "more", 0),
        ("evaluate", 0, "data", "of", 0, "parts", "k"),
        ("evaluate", 0, "cache"),
    ]


def test_templates(registry: Registry):
    assert templates(registry, "photo") == ("a photo of {}", "a picture of {}")
    assert templates(registry, "one {}") == ("one {}",)
    assert templates(registry, ["a {}", "b {}"]) == ("a {}", "b {}")
    with pytest.raises(UnknownComponent, match="did you mean 'photo'"):
        templates(registry, "photos")
    for wrong in ("a photo", ["a"], ["a {}", ""], []):
        with pytest.raises(RecipeError, match="for the class name"):
            templates(registry, wrong)


def test_types_that_no_recipe_can_write_are_the_author_s_fault(registry: Registry):
    found = said(registry, "dataset", "unwritable")
    assert len(found) == 1
    assert "vlc_sample_parts.Unwritable: an option has a type that no recipe can write" in found[0]
    with pytest.raises(RecipeError, match="no recipe can write"):
        build(registry, "dataset", Use(use="unwritable"))


def test_a_type_that_is_imported_for_checkers_only():
    class Lost(Dataset):
        def __init__(self, *, x: "NotImportedAtRuntime") -> None: ...  # type: ignore[name-defined] # noqa: F821, UP037

    with pytest.raises(RecipeError, match="outside of TYPE_CHECKING"):
        options_model(Lost)


def test_a_component_of_no_kind():
    with pytest.raises(ValueError, match=r"'datset' is no kind of component; did you mean 'dataset'"):
        Component("datset")


def test_errors_of_vlc_in_a_constructor_keep_their_kind(
    parts: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    def fail(self: Any, *, path: str) -> None:
        raise DataError(f"{path} is empty")

    class Failing(part("Files")):  # type: ignore[misc]
        __init__ = fail

    monkeypatch.setattr(sys.modules[parts], "Failing", Failing, raising=False)
    Registrar(registry, "sample").dataset("failing", f"{parts}:Failing")
    with pytest.raises(DataError, match="x is empty"):
        build(registry, "dataset", Use.model_validate({"use": "failing", "path": "x"}))


@dataclass
class Awkward:
    """Names that pydantic keeps for itself.

    Args:
        copy: One.
    """

    def __init__(
        self,
        *,
        copy: int = 1,
        json: str = "a",
        model_dim: int = 2,
        schema: Annotated[list[int], Field(min_length=1)] = [1],  # noqa: B006
        _hidden: bool = False,
        callback: object = print,
        untyped=3,  # type: ignore[no-untyped-def]
    ) -> None: ...


def test_names_that_pydantic_keeps_for_itself():
    model = options_model(Awkward)
    value = model.model_validate(
        {"copy": 3, "json": "b", "model_dim": 4, "schema": [2], "_hidden": True, "untyped": "x"}
    )
    assert model.model_fields["o_copy"].description == "One."
    assert value.o_schema == [2]  # type: ignore[attr-defined]
    assert value.o__hidden is True  # type: ignore[attr-defined]
    schema = model.model_json_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == {"copy", "json", "model_dim", "schema", "_hidden", "callback", "untyped"}
    assert schema["properties"]["copy"] == {"default": 1, "description": "One.", "title": "Copy", "type": "integer"}
    assert "default" not in schema["properties"]["callback"]
    assert schema["additionalProperties"] is False


def test_the_json_schema_of_our_samples(parts: str):
    schema = options_model(part("Eye")).model_json_schema()
    json.dumps(schema)
    assert schema["properties"]["size"]["exclusiveMinimum"] == 0
    assert schema["properties"]["size"]["description"] == "The side of the image in pixels."
    assert schema["properties"]["act"]["enum"] == ["relu", "gelu"]
    assert options_model(part("Files")).model_json_schema()["required"] == ["path"]


def test_describe(parts: str):
    eye = {o.name: o for o in describe(part("Eye"))}
    assert list(eye) == ["size", "pool", "act", "drop", "spread", "bias", "depth"]
    assert [o.type for o in eye.values()] == [
        "int, > 0",
        "'class' | 'mean'",
        "'relu' | 'gelu'",
        "float, ≥ 0, < 1",
        "pair of float",
        "bool",
        "int | null",
    ]
    assert (eye["pool"].description, eye["pool"].default) == ("How tokens become one.", "mean")
    assert (eye["drop"].description, eye["drop"].default, eye["drop"].required) == ("", 0.0, False)
    files = {o.name: o for o in describe(part("Files"))}
    assert files["path"].required
    assert [o.type for o in files.values()] == ["path", "list of path | null", "text", "int", "mapping to path | null"]
    assert [o.type for o in describe(part("Joined"))] == ["list of dataset", "dataset | null"]
    assert [o.type for o in describe(part("Probe"))] == ["dataset", "prompt set", "path | null"]


Words = list[str] | Annotated[str, PathLike()] | None
Files = Annotated[str | dict[str, str | list[str]], PathLike()]


@pytest.mark.parametrize(
    ("annotation", "value", "paths"),
    [
        (Words, "words.txt", [("o",)]),
        (Words, ["a word", "another"], []),
        (Words, None, []),
        (Files, "a.gz", [("o",)]),
        (Files, {"en": "a.gz", "de": ["b.gz", "c.gz"]}, [("o", "en"), ("o", "de", 0), ("o", "de", 1)]),
        (list[Annotated[str, PathLike()]], ["a", "b"], [("o", 0), ("o", 1)]),
        (Annotated[Path, PathLike()], "a", [("o",)]),
    ],
)
def test_paths_are_the_texts_where_the_type_has_one(annotation: Any, value: Any, paths: list[tuple]):
    assert [found.path for found in marked(annotation, value, ("o",))] == paths


def test_markers_are_values():
    assert PathLike() == PathLike()
    assert Component("dataset") == Component("dataset")


def test_argument_texts():
    text = """Does.

        Longer text: with a colon.

        Args:
            one: The first,
                over two lines.
            two (int, optional): The second: with a colon.

            *rest: And more.
            **more: And more still.

        Returns:
            three: Nothing.
        """
    assert argument_texts(text) == {
        "one": "The first, over two lines.",
        "two": "The second: with a colon.",
        "rest": "And more.",
        "more": "And more still.",
    }
    assert argument_texts(None) == {}
    assert argument_texts("No arguments.") == {}
    assert argument_texts("Args:\n    a: b") == {"a": "b"}
    assert first_line(text) == "Does."
    assert first_line(None) == ""
