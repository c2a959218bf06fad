"""The options of a component: the keyword-only parameters of its class, as a pydantic model."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from vlc_core.errors import RecipeError
from vlc_core.nearest import did_you_mean
from vlc_core.options.docstrings import argument_texts
from vlc_core.options.use import Use
from vlc_core.registry.entry import KINDS

LISTS = (list, tuple, Sequence)
MAPPINGS = (dict, Mapping)
REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Component:
    """Marks an option that is itself a component: ``Annotated[Dataset, Component("dataset")]``."""

    kind: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of component{did_you_mean(self.kind, KINDS)}")


@dataclass(frozen=True, slots=True)
class PathLike:
    """Marks an option that holds a path or URL: ``Annotated[str, PathLike()]``, or a list of such.

    A relative one is taken against the folder of the recipe file that wrote it.
    """


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword-only parameter of a component.

    Attributes:
        name: As written in the recipe.
        annotation: Its type, markers included.
        default: :data:`REQUIRED` where it has none.
        description: From the docstring's ``Args:``.
    """

    name: str
    annotation: Any
    default: Any
    description: str


@cache
def read_options(component: type) -> tuple[Option, ...]:
    """The options of ``component``: of its ``__init__``, and of the next one where that takes ``**options``.

    Raises:
        RecipeError: A type annotation cannot be resolved.
    """
    options: dict[str, Option] = {}
    for owner in component.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        signature = inspect.signature(owner.__init__)  # type: ignore[misc]
        keyword_only = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        hints = _hints(component, owner) if keyword_only else {}
        texts = argument_texts(owner.__doc__) | argument_texts(owner.__init__.__doc__)  # type: ignore[misc]
        for p in keyword_only:
            new = Option(p.name, hints.get(p.name, Any), p.default, texts.get(p.name, ""))
            options.setdefault(p.name, new)
        if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            break
    return tuple(options.values())


def _hints(component: type, owner: type) -> dict[str, Any]:
    try:
        return get_type_hints(owner.__init__, include_extras=True)  # type: ignore[misc]
    except Exception as error:
        raise RecipeError(
            f"{_full_name(component)}: the type of an option cannot be resolved ({error}); its author must"
            f" import that type outside of TYPE_CHECKING"
        ) from error


@cache
def options_model(component: type) -> type[BaseModel]:
    """A strict model of the options; nested components stand in it as :class:`Use`.

    Field names are the options' with ``o_`` before them, which keeps them clear of pydantic's own; the keys
    that it reads, the JSON schema and its errors bear the options' names.

    Raises:
        RecipeError: An option has a type that no recipe can write.
    """
    fields: dict[str, Any] = {}
    for option in read_options(component):
        info: dict[str, Any] = {"alias": option.name}
        if option.description:
            info["description"] = option.description
        if option.default is not REQUIRED:
            info |= _default(option.default)
        fields[f"o_{option.name}"] = (_writable(option.annotation), Field(**info))
    config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())
    try:
        return create_model(component.__name__, __config__=config, **fields)
    except Exception as error:
        raise RecipeError(
            f"{_full_name(component)}: an option has a type that no recipe can write"
            f" ({' '.join(str(error).split())[:200]})"
        ) from error


def _full_name(component: type) -> str:
    return f"{component.__module__}.{component.__qualname__}"


def _default(value: Any) -> dict[str, Any]:
    """The default itself where JSON can show it, else a factory, which the JSON schema leaves out."""
    try:
        to_jsonable_python(value)
    except PydanticSerializationError:
        return {"default_factory": lambda: value}
    return {"default": value}


def _writable(annotation: Any) -> Any:
    """``annotation`` with every marked component replaced by what a recipe writes for it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marker = component_of(annotation)
        if marker is not None:
            return str | list[str] if marker.kind == "prompts" else Use
        return Annotated[_writable(args[0]), *args[1:]]
    if origin in (Union, types.UnionType):
        return Union[tuple(_writable(a) for a in args)]  # noqa: UP007
    if origin in (*LISTS, *MAPPINGS):
        return origin[tuple(a if a is Ellipsis else _writable(a) for a in args)]
    return annotation


def component_of(annotation: Any) -> Component | None:
    """The :class:`Component` marker right on ``annotation``."""
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((m for m in metadata if isinstance(m, Component)), None)


def is_path(annotation: Any) -> bool:
    """Whether a :class:`PathLike` marker is right on ``annotation``."""
    return get_origin(annotation) is Annotated and any(isinstance(m, PathLike) for m in get_args(annotation)[1:])


@dataclass(frozen=True, slots=True)
class Marked:
    """A value within an option that bears a marker.

    Attributes:
        path: Where, from the option's name on.
        marker: Which.
        value: What the recipe has there.
    """

    path: tuple[str | int, ...]
    marker: Component | PathLike
    value: Any


def marked(annotation: Any, value: Any, path: tuple[str | int, ...]) -> Iterator[Marked]:
    """Every marked value in ``value``, which is what a recipe wrote for an option of type ``annotation``."""
    origin, args = get_origin(annotation), get_args(annotation)
    if value is None:
        return
    if (component := component_of(annotation)) is not None:
        yield Marked(path, component, value)
    elif is_path(annotation):
        yield from _paths(args[0], value, path)
    elif origin is Annotated:
        yield from marked(args[0], value, path)
    elif origin in (Union, types.UnionType):
        for branch in args:
            found = list(marked(branch, value, path))
            if found:
                yield from found
                return
    elif origin in LISTS and isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            fixed = origin is tuple and Ellipsis not in args
            branch = args[min(i, len(args) - 1)] if fixed else args[0]
            yield from marked(branch, item, (*path, i))
    elif origin in MAPPINGS and isinstance(value, dict):
        for key, item in value.items():
            yield from marked(args[1], item, (*path, key))


def _paths(annotation: Any, value: Any, path: tuple[str | int, ...]) -> Iterator[Marked]:
    """The texts in ``value`` where ``annotation`` has paths: a list given for one path is something else's."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _paths(args[0], value, path)
    elif origin in (Union, types.UnionType):
        yield from next(filter(None, (list(_paths(branch, value, path)) for branch in args)), [])
    elif origin in LISTS and isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _paths(args[0], item, (*path, i))
    elif origin in MAPPINGS and isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(args[1], item, (*path, key))
    elif isinstance(value, str):
        yield Marked(path, PathLike(), value)
