"""The options of a component in words, for listings and help."""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from vlc_core.entry import spoken
from vlc_core.signatures import REQUIRED, component_of, is_path, read_options


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option, for people.

    Attributes:
        name: As written in the recipe.
        type: In words close to Python's.
        default: :data:`REQUIRED` where there is none.
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
    return [OptionInfo(o.name, spell(o.annotation), o.default, o.description) for o in read_options(component)]


def spell(annotation: Any) -> str:
    """A type for people: ``int``, ``'a' | 'b'``, ``list of dataset``, ``path``."""
    origin, args = get_origin(annotation), get_args(annotation)
    if (component := component_of(annotation)) is not None:
        return spoken(component.kind)
    if origin is Annotated:
        base = "path" if is_path(annotation) and args[0] is str else spell(args[0])
        bounds = [b for m in args[1:] for b in _bounds(m)]
        return f"{base}, {', '.join(bounds)}" if bounds else base
    if origin in (Union, types.UnionType):
        return " | ".join(spell(a) for a in args)
    if origin is Literal:
        return " | ".join(repr(a) for a in args)
    if origin in (list, tuple, dict):
        inner = ", ".join("…" if a is Ellipsis else spell(a) for a in args)
        return f"{origin.__name__}[{inner}]"
    if annotation is type(None):
        return "null"
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation).removeprefix("typing.")


def _bounds(metadata: Any) -> list[str]:
    """The bounds of a pydantic ``Field`` or an ``annotated_types`` marker."""
    signs = {
        "gt": ">",
        "ge": "≥",
        "lt": "<",
        "le": "≤",
        "multiple_of": "multiple of",
        "min_length": "length ≥",
    }
    parts = getattr(metadata, "metadata", None) or [metadata]
    return [f"{s} {v}" for p in parts for key, s in signs.items() if (v := getattr(p, key, None)) is not None]
