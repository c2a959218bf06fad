"""From the name of a recipe to a checked one: its layers, then the two passes over them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError
from vlc_core.options.validation import KeyPath
from vlc_core.recipe.components import with_full_specs
from vlc_core.recipe.draft import Draft
from vlc_core.recipe.extends import locate, read_layers
from vlc_core.recipe.keys import nearest_mark, undotted
from vlc_core.recipe.merge import merge
from vlc_core.recipe.origin import over_origin
from vlc_core.recipe.overrides import override
from vlc_core.recipe.schema import Recipe
from vlc_core.recipe.tree import Mark, Node, from_plain
from vlc_core.recipe.write import write_recipe
from vlc_core.registry import Registry

MAX_PROBLEMS = 50


@dataclass(slots=True)
class LoadedRecipe:
    """A recipe, with where everything in it came from.

    Attributes:
        recipe: Validated, with variables replaced.
        resolved: All layers in one, defaults written out, paths absolute, variables as they were written.
        tree: The same values with their marks.
    """

    recipe: Recipe
    resolved: dict[str, Any]
    tree: Node = field(repr=False)

    def where(self, path: str | KeyPath = ()) -> str:
        """File and line of a key such as ``"objectives.clip.weight"``, or of the nearest one above it."""
        keys = undotted(path, self.resolved) if isinstance(path, str) else path
        return str(nearest_mark(self.tree, keys))

    def place(self, key: str) -> str:
        """A dotted key with its file and line before it, for messages."""
        return f"{self.where(key)}: {key}"

    def write(self, path: Path) -> None:
        """Writes the resolved recipe, which loads to an equal one."""
        write_recipe(self.resolved, path)


def load_recipe(
    source: str | os.PathLike[str],
    *,
    sets: Sequence[str] = (),
    registry: Registry,
    components: bool = True,
) -> LoadedRecipe:
    """Reads and checks a recipe.

    Args:
        source: The path of a file, or a preset ``plugin/name``.
        sets: ``key.path=value`` layers, laid over it in order.
        registry: Where components and presets are found.
        components: Whether the options of components are checked too. That imports them, and torch; without
            it, paths in their options stay as they were written.

    Raises:
        RecipeError: With every problem that was found.
    """
    name = os.fspath(source)
    path = locate(name, Path(), registry)
    tree = read_layers(path, registry)
    problems: list[str] = []
    for argument in sets:
        try:
            tree = merge(tree, with_full_specs(override(argument)))
        except RecipeError as error:
            problems += error.problems
    try:
        tree = over_origin(with_full_specs(tree))
    except RecipeError as error:
        problems += error.problems
    tree = _with_names(with_full_specs(tree), path.stem if name.endswith(path.name) else name)
    return _checked(tree, registry, components=components, problems=problems)


def validate_components(loaded: LoadedRecipe, registry: Registry) -> None:
    """The second pass over a recipe that was loaded without it; its paths are absolute afterwards.

    Raises:
        RecipeError: With every problem that was found.
    """
    checked = _checked(loaded.tree, registry, components=True, problems=[])
    loaded.recipe, loaded.resolved = checked.recipe, checked.resolved


def _checked(tree: Node, registry: Registry, *, components: bool, problems: Sequence[str]) -> LoadedRecipe:
    draft = Draft(tree, registry, components=components)
    found = [*problems, *draft.problems(most=MAX_PROBLEMS)]
    if found or draft.recipe is None:
        raise RecipeError(found)
    return LoadedRecipe(draft.recipe, draft.resolved(), tree)


def _with_names(tree: Node, called: str) -> Node:
    """The tree with the defaults that depend on what the recipe is called: the run's name and its folder."""
    mark = Mark(tree.mark.source, 1, Path.cwd())
    if tree.get("name") is None:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", called).lstrip("._-")[:100] or "run"
        tree = tree.put(("name",), from_plain(name, mark))
    name_node = tree.get("name")
    if tree.get("output") is None and name_node is not None and isinstance(name_node.value, str):
        tree = tree.put(("output",), from_plain(f"runs/{name_node.value}", mark))
    return tree
