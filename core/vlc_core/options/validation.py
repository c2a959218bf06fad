"""Checking plain data against a pydantic model, with sentences instead of pydantic's own errors."""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vlc_core.nearest import did_you_mean, nearest

KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_SORTS = {
    "a whole number": ("int_type", "int_from_float"),
    "a number": ("float_type",),
    "a finite number": ("finite_number",),
    "true or false": ("bool_type",),
    "text": ("string_type",),
    "a path": ("path_type",),
    "a list": ("list_type", "tuple_type", "set_type", "frozen_set_type"),
    "a mapping of keys to values": ("dict_type", "model_type", "model_attributes_type", "dataclass_type"),
    "null": ("none_required",),
}
_KINDS = {kind: words for words, kinds in _SORTS.items() for kind in kinds}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
}
TEXT = f"must be {_KINDS['string_type']}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The key path at which it is.
        text: What is wrong, or what the value must be.
        given: What the value is instead, where the value is what is wrong.
    """

    path: KeyPath
    text: str
    given: str = ""

    def __str__(self) -> str:
        return f"{self.text}, not {self.given}" if self.given else self.text


def validate(model: type[M], data: Any, *, noun: str = "key") -> tuple[M | None, list[Problem]]:
    """``data`` as an instance of ``model``, or everything that is wrong with it.

    Strict, but for what JSON cannot tell apart: a list passes for a tuple, text for an enum or a path, a
    whole number for a float.

    Args:
        model: What it should be.
        data: Plain mappings, lists, text, numbers, booleans and None.
        noun: What a key is called in messages.
    """
    try:
        return model.model_validate_json(json.dumps(data)), []
    except ValidationError as error:
        return None, _problems(model, data, error.errors(include_url=False), noun)


def dotted(path: Sequence[str | int], data: Any = None) -> str:
    """A key path as ``--set`` takes it: items of a list by their name in ``data`` where only they bear it."""
    parts = []
    for key in path:
        name = _item_name(data, key) if isinstance(key, int) else key
        parts.append(name if name.isprintable() else repr(name)[1:-1])
        data = _child(data, key)
    return ".".join(parts)


def item_names(items: Sequence[Any]) -> list[str | None]:
    """What items of a list are called: by ``name``, else by ``use`` without its plugin; None for others."""
    return [_called(item) for item in items]


def _called(item: Any) -> str | None:
    if isinstance(item, str):
        return item.rpartition("/")[2] or None
    if not isinstance(item, Mapping):
        return None
    name, use = item.get("name"), item.get("use")
    if isinstance(name, str) and name:
        return name
    return use.rpartition("/")[2] if isinstance(use, str) and use else None


def _item_name(items: Any, index: int) -> str:
    if not isinstance(items, list) or index >= len(items) or not isinstance(items[index], Mapping):
        return str(index)
    names = item_names(items)
    name = names[index]
    return name if name is not None and names.count(name) == 1 else str(index)


def _child(data: Any, key: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(key)
    if isinstance(data, list) and isinstance(key, int) and key < len(data):
        return data[key]
    return None


def _problems(model: type[BaseModel], data: Any, errors: Sequence[ErrorDetails], noun: str) -> list[Problem]:
    """One problem a key path: what the branches of a union each wanted is joined by "or"."""
    wanted: dict[KeyPath, list[str]] = {}
    others: dict[KeyPath, str] = {}
    for error in errors:
        if error["type"] == "default_factory_not_called":
            continue
        path = _path(error["loc"], data, error["type"])
        expected = _expected(error)
        if expected is None:
            others[path] = _sentence(model, path, error, noun)
        elif expected not in wanted.setdefault(path, []):
            wanted[path].append(expected)
    return [
        *(Problem(path, text) for path, text in others.items()),
        *(
            Problem(path, f"must {' or '.join(expected).replace(' or be ', ' or ')}", shown(_at(data, path)))
            for path, expected in wanted.items()
            if path not in others
        ),
    ]


def _path(loc: Sequence[str | int], data: Any, kind: str) -> KeyPath:
    """``loc`` without the names of union branches and validators that pydantic puts into it."""
    path: list[str | int] = []
    for i, key in enumerate(loc):
        absent = kind == "missing" and i == len(loc) - 1
        inside = (isinstance(data, dict) and (absent or key in data)) or (
            isinstance(data, list) and isinstance(key, int) and (absent or key < len(data))
        )
        if inside:
            path.append(key)
            data = _child(data, key)
    return tuple(path)


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = _child(data, key)
    return data


def _expected(error: ErrorDetails) -> str | None:
    """What the value must be or have, where the error is of that sort."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _KINDS:
        return f"be {_KINDS[kind]}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"be {words} {context[key]:g}"
    if kind in _LENGTHS:
        words, key, unit = _LENGTHS[kind]
        return f"have {words} {context[key]} {unit}{'s' if context[key] != 1 else ''}"
    if kind in ("literal_error", "enum"):
        return _one_of(str(context["expected"]), error["input"])
    if kind == "string_pattern_mismatch":
        return f"match {context['pattern']}"
    return None


def _one_of(expected: str, given: Any) -> str:
    """Of pydantic's "'a', 'b' or 'c'"."""
    allowed = re.findall(r"'([^']*)'", expected) or [expected]
    close = nearest(given, allowed) if isinstance(given, str) else None
    one = f"be {allowed[0]!r}" if len(allowed) == 1 else f"be one of {', '.join(map(repr, allowed))}"
    return one if close is None or len(allowed) == 1 else f"{one} (nearest: {close!r})"


def _sentence(model: type[BaseModel], path: KeyPath, error: ErrorDetails, noun: str) -> str:
    """Of an error that is not about what the value must be."""
    if error["type"] == "extra_forbidden":
        allowed = _keys(_model_at(model, path[:-1]))
        listed = f"allowed are {', '.join(allowed)}" if allowed else "there are none"
        return f"unknown {noun}{did_you_mean(str(path[-1]), allowed) or ';'} {listed}"
    if error["type"] == "missing":
        return f"this {noun.partition(' ')[0]} is required"
    if error["type"] in ("value_error", "assertion_error"):
        return str(error.get("ctx", {}).get("error", error["msg"]))
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}"


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [f.alias or name for name, f in model.model_fields.items()]


def _model_at(annotation: Any, path: KeyPath) -> type[BaseModel] | None:
    """The model that stands at ``path`` below ``annotation``."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, types.UnionType):
        branches = args[:1] if origin is Annotated else args
        return next((m for branch in branches if (m := _model_at(branch, path)) is not None), None)
    if origin in (list, tuple, dict):
        return _model_at(args[-1 if origin is dict else 0], path[1:]) if path else None
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    if not path:
        return annotation
    field = next((f for n, f in annotation.model_fields.items() if (f.alias or n) == path[0]), None)
    return None if field is None else _model_at(field.annotation, path[1:])


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {value[:40] + '…' if len(value) > 40 else value!r}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, float) and math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return "a mapping" if isinstance(value, dict) else str(value)
