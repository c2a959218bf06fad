"""A first recipe for a method: a preset in one file, every key explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from textwrap import wrap
from typing import Any

from pydantic import BaseModel

from vlc_core.errors import RecipeError
from vlc_core.nearest import did_you_mean
from vlc_core.options import describe
from vlc_core.plan.launching import launch_lines
from vlc_core.recipe.components import PLACES
from vlc_core.recipe.load import LoadedRecipe
from vlc_core.recipe.schema import Recipe
from vlc_core.recipe.write import dump
from vlc_core.registry import Registry
from vlc_core.registry.entry import Entry

PREFERRED = ("laptop", "quick", "base")
WIDTH = 118
_INDENT = 2
_Path = tuple[str, ...]
_MORE: dict[_Path, tuple[str, ...]] = {
    ("data", "train"): (
        "Your own instead, a table of images and captions, or a folder with a folder of images for each class:",
        "  - {use: manifest, path: pairs.csv}",
        "  - {use: folder, path: ./images}",
    ),
}
"""What a first recipe says of a key beside its description."""


def find_preset(method: str, registry: Registry) -> Entry:
    """The preset for ``method``: the plugin of that name's smallest one, or the very preset ``plugin/name``.

    Raises:
        RecipeError: There is none.
    """
    presets = registry.entries("recipe")
    exact = [entry for entry in presets if method in (entry.long_name, entry.name)]
    of_plugin = [entry for entry in presets if entry.plugin == method]
    ranked = sorted(of_plugin, key=lambda e: PREFERRED.index(e.name) if e.name in PREFERRED else len(PREFERRED))
    found = [*ranked[:1], *exact] if method in {entry.plugin for entry in presets} else exact
    if len(found) > 1 and not ranked:
        raise RecipeError(f"{method!r} is a preset of several plugins: write {' or '.join(e.long_name for e in found)}")
    if found:
        return found[0]
    names = [*dict.fromkeys(entry.plugin for entry in presets), *(entry.long_name for entry in presets)]
    hint = did_you_mean(method, names) or ";"
    known = ", ".join(names) or "none, as no plugin that is installed brings one"
    raise RecipeError(f"no method or preset is called {method!r}{hint} known are {known}")


def first_recipe(loaded: LoadedRecipe, entry: Entry, registry: Registry, *, file: str, schema: str) -> str:
    """The text of a recipe file.

    Args:
        loaded: The preset.
        entry: What it is.
        registry: Where its components are found.
        file: What the new file is called, for its launch lines.
        schema: Where editors find the schema.
    """
    name = PurePath(file).stem
    written = loaded.tree.plain() | {"name": name, "output": f"runs/{name}"}
    head = [f"# yaml-language-server: $schema={schema}", f"# {entry.long_name}: {entry.summary}"]
    head += [f"# {entry.source}"] if entry.source else []
    head += [f"#\n# {purpose}:\n#   {line}" for purpose, line in launch_lines(file).items()]
    head += [f"#\n# vlc check {file} says what it takes; vlc schema -o {schema} lets editors complete its keys."]
    body = _Commented(registry).mapping(written, Recipe, (), 0)
    return "\n".join([*head, "", *body, ""])


class _Commented:
    """Writes plain data as YAML with the descriptions of its keys."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def mapping(
        self, data: Mapping[str, Any], model: type[BaseModel] | None, path: _Path, indent: int
    ) -> Iterator[str]:
        """The lines of a mapping."""
        said = self._descriptions(data, model, path)
        for key, value in data.items():
            yield from self._entry(key, value, said.get(key, ""), _field_model(model, key), (*path, key), indent)

    def _entry(
        self, key: str, value: Any, text: str, model: type[BaseModel] | None, path: _Path, indent: int
    ) -> Iterator[str]:
        space = " " * indent
        if isinstance(value, Mapping) and value:
            yield from _comment(text, space)
            yield f"{space}{key}:"
            yield from self.mapping(value, model, path, indent + _INDENT)
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _comment(text, space)
            yield from (f"{space}# {line}" for line in _MORE.get(path, ()))
            yield f"{space}{key}:"
            for item in value:
                lines = list(self.mapping(item, model, (*path, "*"), indent + 2 * _INDENT))
                yield from _as_item(lines, indent + _INDENT)
        else:
            line = f"{space}{key}: {_scalar(value)}"
            beside = f"{line}  # {text}"
            if text and len(beside) > WIDTH:
                yield from _comment(text, space)
            yield beside if text and len(beside) <= WIDTH else line

    def _descriptions(self, data: Mapping[str, Any], model: type[BaseModel] | None, path: _Path) -> dict[str, str]:
        fields = {} if model is None else model.model_fields
        said = {field.alias or name: field.description or "" for name, field in fields.items()}
        kind = PLACES.get(path)
        if kind is not None and isinstance(data.get("use"), str):
            entry = self._registry.find(kind, data["use"])
            said |= {option.name: option.description.replace("``", "`") for option in describe(entry.load())}
            said["use"] = entry.summary
        return {key: _one_line(text) for key, text in said.items()}


def _field_model(model: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    """The model of a section or of the items of a list, where ``key`` of ``model`` holds one."""
    for name, field in ({} if model is None else model.model_fields).items():
        if (field.alias or name) == key:
            return next((found for found in _models(field.annotation)), None)
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def _as_item(lines: list[str], indent: int) -> Iterator[str]:
    """Lines of a mapping as one item of a list: a dash before its first key, comments above it."""
    first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    for number, line in enumerate(lines):
        if number < first:
            yield " " * indent + line.lstrip()
        elif number == first:
            yield " " * indent + "- " + line.lstrip()
        else:
            yield line


def _scalar(value: Any) -> str:
    text = dump([value]).strip()
    return text.removeprefix("- ") if "\n" not in text and text.startswith("- ") else _flow(value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _comment(text: str, space: str) -> Iterator[str]:
    for line in wrap(text, WIDTH - len(space) - 2, break_long_words=False, break_on_hyphens=False):
        yield f"{space}# {line}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
