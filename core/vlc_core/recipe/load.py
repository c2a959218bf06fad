"""From the name of a recipe to a checked one: layers, variables, shape and names, options; all errors at once."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError
from vlc_core.options import check, templates
from vlc_core.recipe.components import specs, with_full_specs
from vlc_core.recipe.extends import locate, read_layers
from vlc_core.recipe.interpolation import expand
from vlc_core.recipe.merge import merge
from vlc_core.recipe.overrides import override
from vlc_core.recipe.paths import resolve_path
from vlc_core.recipe.schema import Recipe
from vlc_core.recipe.tree import Mark, Node, from_plain
from vlc_core.recipe.write import write_recipe
from vlc_core.registry import Registry
from vlc_core.validation import KeyPath, Problem, dotted, item_names, validate


@dataclass(slots=True)
class LoadedRecipe:
    """A recipe with where everything in it came from.

    Attributes:
        recipe: Validated, with variables replaced.
        resolved: All layers in one, defaults written out, paths absolute, variables as they were written.
        tree: The same values with their marks.
    """

    recipe: Recipe
    resolved: dict[str, Any]
    tree: Node = field(repr=False)

    def where(self, path: str | KeyPath = ()) -> str:
        """The file and line of a key such as ``"objectives.clip.weight"``; of the nearest one above where it has none."""
        keys = _keys(path, self.resolved) if isinstance(path, str) else path
        return str(_mark(self.tree, keys))

    def write(self, path: Path) -> None:
        """Writes the resolved recipe, which loads to an equal one."""
        write_recipe(self.resolved, path)


def load_recipe(
    source: str | os.PathLike[str], *, sets: Sequence[str] = (), registry: Registry, components: bool = True
) -> LoadedRecipe:
    """Reads and checks a recipe.

    Args:
        source: The path of a file, or a preset ``plugin/name``.
        sets: ``key.path=value`` layers, laid over it in order.
        registry: Where components and presets are found.
        components: Whether the options of components are checked too. That imports them, and torch; without it,
            paths in their options stay as they were written.

    Raises:
        RecipeError: With every problem that was found.
    """
    path = locate(os.fspath(source), Path(), registry)
    tree = read_layers(path, registry)
    problems: list[str] = []
    for argument in sets:
        try:
            tree = merge(tree, with_full_specs(override(argument)))
        except RecipeError as error:
            problems += error.problems
    draft = _Draft(_with_names(with_full_specs(tree), path))
    found = draft.check(registry, components=components)
    if problems or found:
        raise RecipeError(list(dict.fromkeys([*problems, *found])))
    return draft.finish()


def validate_components(loaded: LoadedRecipe, registry: Registry) -> None:
    """The second pass over a recipe that was loaded without it; its paths are absolute afterwards.

    Raises:
        RecipeError: With every problem that was found.
    """
    draft = _Draft(loaded.tree)
    found = draft.check(registry, components=True)
    if found:
        raise RecipeError(found)
    checked = draft.finish()
    loaded.recipe, loaded.resolved = checked.recipe, checked.resolved


class _Draft:
    """A recipe on its way through the two passes."""

    def __init__(self, tree: Node) -> None:
        self._tree = tree
        self._raw: dict[str, Any] = tree.plain()
        self._problems: list[Problem] = []
        self._data = self._expanded()
        self._recipe: Recipe | None = None

    def check(self, registry: Registry, *, components: bool) -> list[str]:
        """Both passes, over whatever of the recipe can be checked; sentences with file and line, in file order."""
        self._shape()
        self._names(registry, components=components)
        marked = [(_mark(self._tree, p.path), p) for p in self._problems]
        marked.sort(key=lambda pair: (pair[0].source, pair[0].line))
        return [
            f"{mark}: {dotted(p.path, self._raw)}: {p.text}" if p.path else f"{mark}: {p.text}"
            for mark, p in marked
        ]

    def finish(self) -> LoadedRecipe:
        """The recipe, once nothing is wrong."""
        recipe, problems = validate(Recipe, self._data)
        assert recipe is not None, problems
        filled = recipe.model_dump(mode="json", by_alias=True, exclude={"extends"})
        return LoadedRecipe(recipe, _overlay(filled, self._raw), self._tree)

    def _expanded(self) -> Any:
        data = self._tree.plain()
        for path, node in self._tree.scalars():
            if isinstance(node.value, str) and "$" in node.value:
                try:
                    _put(data, path, expand(node.value))
                except ValueError as error:
                    self._problems.append(Problem(path, str(error)))
        return data

    def _shape(self) -> None:
        unset = {p.path for p in self._problems}
        recipe, problems = validate(Recipe, self._data)
        self._recipe = recipe
        self._problems += [p for p in problems if p.path not in unset]
        for place, items in (
            (("objectives",), self._data.get("objectives")),
            (("data", "train"), _get(self._data, ("data", "train"))),
            (("evaluate", "with"), _get(self._data, ("evaluate", "with"))),
        ):
            self._problems += _twice(place, items)

    def _names(self, registry: Registry, *, components: bool) -> None:
        data = (
            self._data
            if self._recipe is None
            else _overlay(self._recipe.model_dump(mode="json", by_alias=True), self._data)
        )
        for spec in specs(data):
            if components:
                checked = check(registry, spec.kind, spec.use, spec.options, spec.path)
                known = {p.path for p in self._problems}
                self._problems += [p for p in checked.problems if p.path not in known]
                for path in checked.paths:
                    self._absolute(path)
            else:
                self._try((*spec.path, "use"), lambda spec=spec: registry.find(spec.kind, spec.use))
            prompts = _get(data, (*spec.path, "prompts"))
            if (
                spec.kind == "dataset"
                and isinstance(prompts, (str, list))
                and all(isinstance(p, str) for p in prompts)
            ):
                self._try((*spec.path, "prompts"), lambda p=prompts: templates(registry, p))
        if isinstance(self._data.get("output"), str):
            self._raw["output"], self._data["output"] = resolve_path(
                self._raw["output"], self._data["output"], Path.cwd()
            )

    def _try(self, path: KeyPath, lookup: Any) -> None:
        try:
            lookup()
        except RecipeError as error:
            self._problems += [Problem(path, text) for text in error.problems]

    def _absolute(self, path: KeyPath) -> None:
        node = self._tree.at(path)
        value = _get(self._data, path)
        if node is not None and isinstance(value, str):
            raw, expanded = resolve_path(str(node.value), value, node.mark.folder)
            _put(self._raw, path, raw)
            _put(self._data, path, expanded)


def _with_names(tree: Node, path: Path) -> Node:
    """The tree with the defaults that depend on the file: the run's name, and its folder."""
    mark = Mark(tree.mark.source, 1, Path.cwd())
    if tree.get("name") is None:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-") or "run"
        tree = tree.put(("name",), from_plain(name, mark))
    name_node = tree.get("name")
    if tree.get("output") is None and name_node is not None and isinstance(name_node.value, str):
        tree = tree.put(("output",), from_plain(f"runs/{name_node.value}", mark))
    return tree


def _twice(place: KeyPath, items: Any) -> list[Problem]:
    """Items of a list that share a name."""
    if not isinstance(items, list):
        return []
    names = item_names(items)
    return [
        Problem((*place, i), f"another item is called {name!r} too; give one of them a name of its own")
        for i, name in enumerate(names)
        if name is not None and name in names[:i]
    ]


def _overlay(filled: Any, written: Any) -> Any:
    """``written``, with what only ``filled`` has added."""
    if isinstance(filled, dict) and isinstance(written, dict):
        rest = {key: value for key, value in written.items() if key not in filled}
        return {
            key: _overlay(value, written[key]) if key in written else value for key, value in filled.items()
        } | rest
    if isinstance(filled, list) and isinstance(written, list) and len(filled) == len(written):
        return [_overlay(f, w) for f, w in zip(filled, written, strict=True)]
    return written


def _get(data: Any, path: KeyPath) -> Any:
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def _put(data: Any, path: KeyPath, value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def _mark(tree: Node, path: KeyPath) -> Mark:
    """Of the node at ``path``, or of the nearest one above it that was written."""
    for length in range(len(path), -1, -1):
        node = tree.at(path[:length])
        if node is not None:
            return node.mark
    return tree.mark


def _keys(path: str, data: Any) -> KeyPath:
    """A dotted key path as keys and indices, items of lists by name or index."""
    keys: list[str | int] = []
    for part in path.split(".") if path else ():
        key: str | int = part
        if isinstance(data, list):
            names = item_names(data)
            key = names.index(part) if part in names else int(part) if part.isdigit() else part
        keys.append(key)
        data = _get(data, (key,))
    return tuple(keys)
