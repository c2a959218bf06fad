"""From a component's recipe options to the component: described, checked, made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vlc_core.errors import RecipeError, VlcError
from vlc_core.options.signatures import (
    Component,
    Marked,
    Option,
    PathLike,
    marked,
    options_model,
    read_options,
)
from vlc_core.options.use import Use
from vlc_core.options.validation import KeyPath, Problem, dotted, validate
from vlc_core.registry import Registry, spoken

# Keys that the recipe itself reads beside a component's options; an option of that name could never be set.
_OF_TOWERS = frozenset({"use", "pretrained", "freeze", "layer_decay", "compile", "head"})
RESERVED: dict[str, frozenset[str]] = {
    "image_encoder": _OF_TOWERS,
    "text_encoder": _OF_TOWERS,
    "objective": frozenset({"use", "name", "weight"}),
    "dataset": frozenset({"use", "name", "prompts", "share"}),
    "evaluator": frozenset({"use", "name"}),
}


@dataclass(slots=True)
class Checked:
    """What :func:`check` found.

    Attributes:
        problems: All that is wrong.
        paths: The key paths of values that are paths or URLs.
    """

    problems: list[Problem] = field(default_factory=list)
    paths: list[KeyPath] = field(default_factory=list)


def check(registry: Registry, kind: str, use: str, options: Mapping[str, Any], path: KeyPath = ()) -> Checked:
    """Everything wrong with the options of a component and of those nested in it; nothing is made.

    Args:
        registry: Where components are found.
        kind: What kind of component it is.
        use: Its name.
        options: What the recipe gives it.
        path: The component's key path, which goes before those of its options.
    """
    checked = Checked()
    try:
        component = registry.find(kind, use).load()
        model = options_model(component)
        taken = _reserved(kind, component)
    except RecipeError as error:
        checked.problems += [Problem((*path, "use"), text) for text in error.problems]
        return checked
    if taken:
        text = f"{use!r} has an option named {taken}, which the recipe reads itself; its author must rename it"
        checked.problems.append(Problem((*path, "use"), text))
    _, problems = validate(model, dict(options), noun=f"option of {use!r}")
    checked.problems += [replace(p, path=(*path, *p.path)) for p in problems]
    wrong = {p.path[:1] for p in problems}
    for option in read_options(component):
        if option.name in options and (option.name,) not in wrong:
            _check_marked(registry, option, options[option.name], path, checked)
    return checked


def _reserved(kind: str, component: type) -> str:
    reserved = RESERVED.get(kind, frozenset({"use"}))
    return ", ".join(repr(o.name) for o in read_options(component) if o.name in reserved)


def _check_marked(registry: Registry, option: Option, value: Any, path: KeyPath, checked: Checked) -> None:
    for found in marked(option.annotation, value, (*path, option.name)):
        if isinstance(found.marker, PathLike):
            checked.paths.append(found.path)
        elif found.marker.kind == "prompts":
            try:
                templates(registry, found.value)
            except RecipeError as error:
                checked.problems += [Problem(found.path, text) for text in error.problems]
        else:
            spec = _spec(found.value)
            nested = check(registry, found.marker.kind, spec.use, spec.options, found.path)
            checked.problems += nested.problems
            checked.paths += nested.paths


def templates(registry: Registry, prompts: str | list[str]) -> tuple[str, ...]:
    """The prompt templates that a recipe means: a set's name, one template, or a list of templates.

    Raises:
        RecipeError: No set bears that name, or a template lacks the ``{}`` where the class name goes.
    """
    if isinstance(prompts, str) and "{}" not in prompts and " " not in prompts:  # several words are no set's name
        found: tuple[str, ...] = registry.find("prompts", prompts).load()
        return found
    given = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    plain = next((t for t in given if "{}" not in t), None)
    if plain is not None or not given:
        raise RecipeError(f"every prompt template needs {{}} for the class name, {plain!r} has none")
    return given


def build(registry: Registry, kind: str, spec: Use, *given: Any, where: str = "") -> Any:
    """The component that ``spec`` names, made with its options; components nested in them are made first.

    Args:
        registry: Where components are found.
        kind: What kind of component it is.
        spec: Its name and options.
        *given: What the framework hands to the positional parameters of its class.
        where: Its place in the recipe, for messages.

    Raises:
        RecipeError: Unknown component, wrong options, or options that its class refuses together.
    """
    component = registry.find(kind, spec.use).load()
    model, problems = validate(options_model(component), spec.options, noun=f"option of {spec.use!r}")
    at = where or f"{spoken(kind)} {spec.use!r}"
    if model is None:
        raise RecipeError([f"{at}: {dotted(p.path, spec.options)}: {p}" for p in problems])
    names = [option.name for option in read_options(component) if option.name in spec.options]
    options = {name: getattr(model, f"o_{name}") for name in names}
    for option in read_options(component):
        if option.name in options:
            for found in marked(option.annotation, options[option.name], (option.name,)):
                if isinstance(found.marker, Component):
                    _replace(options, found, _nested(registry, found, at))
    try:
        return component(*given, **options)
    except RecipeError as error:
        raise RecipeError([f"{at}: {problem}" for problem in error.problems]) from error
    except VlcError:
        raise
    except ValueError as error:
        raise RecipeError(f"{at}: {error}") from error


def _nested(registry: Registry, found: Marked, at: str) -> Any:
    assert isinstance(found.marker, Component)
    if found.marker.kind == "prompts":
        return templates(registry, found.value)
    return build(registry, found.marker.kind, _spec(found.value), where=f"{at}: {dotted(found.path)}")


def _spec(value: Any) -> Use:
    return value if isinstance(value, Use) else Use.model_validate(value)


def _replace(options: dict[str, Any], found: Marked, value: Any) -> None:
    """Puts ``value`` where ``found`` was, in copies of the containers around it."""

    def put(container: Any, path: KeyPath) -> Any:
        if not path:
            return value
        key: Any = path[0]
        if isinstance(container, dict):
            return container | {key: put(container[key], path[1:])}
        items = list(container)
        items[key] = put(items[key], path[1:])
        return type(container)(items)

    name = str(found.path[0])
    options[name] = put(options[name], found.path[1:])
