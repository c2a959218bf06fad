"""A merged recipe on its way through the two passes: shape and names, then the options of its components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError
from vlc_core.options import check, templates
from vlc_core.options.validation import TEXT, KeyPath, Problem, dotted, item_names, validate
from vlc_core.recipe.components import Spec, specs
from vlc_core.recipe.interpolation import expand, is_whole
from vlc_core.recipe.keys import get, nearest_mark, overlay, put
from vlc_core.recipe.paths import resolve_path
from vlc_core.recipe.schema import Recipe
from vlc_core.recipe.tree import Node
from vlc_core.registry import Registry

_NAMED_LISTS: tuple[KeyPath, ...] = (("objectives",), ("data", "train"), ("evaluate", "with"))
# Values of the recipe's own keys that are paths and belong to the file that wrote them.
_PATHS: tuple[KeyPath, ...] = (("model", "from"), ("model", "image", "pretrained"), ("model", "text", "pretrained"))


class Draft:
    """Checks a tree as far as it can be checked, whatever is wrong with parts of it.

    Attributes:
        recipe: The result; None where anything is wrong.
    """

    recipe: Recipe | None = None

    def __init__(self, tree: Node, registry: Registry, *, components: bool) -> None:
        """Runs both passes, the second one with ``components``."""
        self._tree = tree
        self._registry = registry
        self._components = components
        self._variables = {
            path: node.value for path, node in tree.scalars() if isinstance(node.value, str) and "$" in node.value
        }
        self._texts: set[KeyPath] = set()
        self._passes()
        # A variable alone is read as YAML; where that gives a number and text is wanted, the text was meant.
        self._texts = {p.path for p in self._problems if p.text == TEXT and self._is_variable(p.path)}
        if self._texts:
            self._passes()

    def problems(self, *, most: int) -> list[str]:
        """A sentence with file, line and key for each, in the order of the files; the first ``most`` of them."""
        by_place = {(p.path, p.text): p for p in reversed(self._problems)}
        marked = [(nearest_mark(self._tree, p.path), p) for p in reversed(by_place.values())]
        marked.sort(key=lambda pair: (pair[0].source, pair[0].line))
        sentences = [f"{mark}: {self._sentence(problem)}" for mark, problem in marked[:most]]
        return sentences if len(marked) <= most else [*sentences, f"… and {len(marked) - most} more problems"]

    def resolved(self) -> dict[str, Any]:
        """All that was written, and the defaults of all that was not."""
        assert self.recipe is not None
        filled = self.recipe.model_dump(mode="json", by_alias=True, exclude={"extends"})
        merged: dict[str, Any] = overlay(filled, self._written)
        return merged

    def _passes(self) -> None:
        self._problems: list[Problem] = []
        self._written: dict[str, Any] = self._tree.plain()
        self._data: dict[str, Any] = self._expanded()
        shape = self._shape()
        for spec in specs(self._data if shape is None else self._with_defaults(shape)):
            self._component(spec)
        self._absolute(("output",), Path.cwd())
        for path in _PATHS:
            self._absolute(path)
        if not self._problems:
            self.recipe, self._problems = validate(Recipe, self._data)

    def _expanded(self) -> dict[str, Any]:
        data: dict[str, Any] = self._tree.plain()
        for path, text in self._variables.items():
            try:
                put(data, path, expand(text, reread=path not in self._texts))
            except ValueError as error:
                self._problems.append(Problem(path, str(error)))
        return data

    def _shape(self) -> Recipe | None:
        unset = {p.path for p in self._problems}
        shape, problems = validate(Recipe, self._data)
        self._problems += [p for p in problems if p.path not in unset]
        for place in _NAMED_LISTS:
            self._problems += _twice(place, get(self._data, place))
        return shape

    def _with_defaults(self, shape: Recipe) -> Any:
        return overlay(shape.model_dump(mode="json", by_alias=True), self._data)

    def _component(self, spec: Spec) -> None:
        if self._components:
            checked = check(self._registry, spec.kind, spec.use, spec.options, spec.path)
            self._problems += checked.problems
            for path in checked.paths:
                self._absolute(path)
        else:
            self._try((*spec.path, "use"), partial(self._registry.find, spec.kind, spec.use))
        if spec.prompts is not None:
            self._try((*spec.path, "prompts"), partial(templates, self._registry, spec.prompts))

    def _try(self, path: KeyPath, lookup: Callable[[], object]) -> None:
        try:
            lookup()
        except RecipeError as error:
            self._problems += [Problem(path, text) for text in error.problems]

    def _absolute(self, path: KeyPath, folder: Path | None = None) -> None:
        node, value = self._tree.at(path), get(self._data, path)
        if node is not None and isinstance(node.value, str) and isinstance(value, str):
            written, used = resolve_path(node.value, value, folder or node.mark.folder)
            put(self._written, path, written)
            put(self._data, path, used)

    def _is_variable(self, path: KeyPath) -> bool:
        return path in self._variables and is_whole(self._variables[path])

    def _sentence(self, problem: Problem) -> str:
        """The problem at its key. A value from the environment is not printed, as it may be a secret."""
        if problem.given and problem.path in self._variables:
            problem = replace(problem, given=f"the value of {self._variables[problem.path]}")
        key = dotted(problem.path, self._written)
        return f"{key}: {problem}" if key else str(problem)


def _twice(place: KeyPath, items: Any) -> list[Problem]:
    """Items of a list that share a name."""
    if not isinstance(items, list):
        return []
    seen: set[str] = set()
    problems = []
    for i, name in enumerate(item_names(items)):
        if name is None:
            continue
        if name in seen:
            text = f"another item is called {name!r} too; give one of them a name of its own"
            problems.append(Problem((*place, i), text))
        seen.add(name)
    return problems
