"""The options of a component in words, for listings and help."""

from __future__ import annotations

import enum
import inspect
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticSerializationError, to_jsonable_python

from vlc_core.options.signatures import LISTS, MAPPINGS, REQUIRED, component_of, is_path, read_options
from vlc_core.registry.entry import spoken

_WORDS = {str: "text", Path: "path", type(None): "null", Any: "anything"}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "multiple_of": "a multiple of", "min_length": "length ≥"}


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option, for people.

    Attributes:
        name: As written in the recipe.
        type: In words.
        default: As a recipe would write it; :data:`REQUIRED` where there is none.
        description: From the docstring.
    """

    name: str
    type: str
    default: Any
    description: str

    @property
    def required(self) -> bool:
        """Whether a recipe must give it."""
        return self.default is REQUIRED


def describe(component: type) -> list[OptionInfo]:
    """Every option of a component, in the order of its signature."""
    return [
        OptionInfo(o.name, spell(o.annotation), _written(o.default), o.description) for o in read_options(component)
    ]


def spell(annotation: Any) -> str:
    """A type for people: ``int``, ``'a' | 'b'``, ``list of dataset``, ``path``."""
    origin, args = get_origin(annotation), get_args(annotation)
    if (component := component_of(annotation)) is not None:
        return spoken(component.kind)
    if origin is Annotated:
        base = "path" if is_path(annotation) and args[0] is str else spell(args[0])
        return ", ".join([base, *(b for m in args[1:] for b in _bounds(m))])
    if origin in (Union, types.UnionType):
        return " | ".join(spell(a) for a in args)
    if origin is Literal:
        return " | ".join(repr(a) for a in args)
    if origin is tuple and len(args) == 2 and args[0] == args[1]:
        return f"pair of {spell(args[0])}"
    if origin in LISTS:
        return f"list of {', '.join(spell(a) for a in args if a is not Ellipsis)}"
    if origin in MAPPINGS:
        return f"mapping to {spell(args[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        return " | ".join(repr(member.value) for member in annotation)
    return _WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _bounds(metadata: Any) -> list[str]:
    """The bounds of a pydantic ``Field`` or an ``annotated_types`` marker."""
    parts = getattr(metadata, "metadata", None) or [metadata]
    return [f"{s} {v:g}" for p in parts for key, s in _SIGNS.items() if (v := getattr(p, key, None)) is not None]


def _written(default: Any) -> Any:
    if default is REQUIRED:
        return default
    try:
        return to_jsonable_python(default)
    except PydanticSerializationError:
        return repr(default)
