"""From the name of a recipe to its layers: the file or preset itself, and all that it extends."""

from __future__ import annotations

import os
from pathlib import Path

from vlc_core.errors import RecipeError
from vlc_core.recipe.components import with_full_specs
from vlc_core.recipe.interpolation import expand
from vlc_core.recipe.merge import merge
from vlc_core.recipe.tree import Node
from vlc_core.recipe.yaml import read_file
from vlc_core.registry import Registry

MAX_CHAIN = 16
_SUFFIXES = (".yaml", ".yml")


def locate(name: str, folder: Path, registry: Registry) -> Path:
    """The file that ``name`` means: a path where it looks like one, else a preset, else a file of that name.

    Raises:
        RecipeError: ``name`` is neither.
    """
    if not name:
        raise RecipeError("no recipe is named; give the path of a file or a preset such as plugin/name")
    path = folder / Path(os.path.expanduser(name))
    if name.endswith(_SUFFIXES) or name.startswith((".", "/", "~")):
        return path
    try:
        preset: Path = registry.find("recipe", name).load()
    except RecipeError as error:
        if path.exists():
            return path
        raise RecipeError(f"{error}; a file is named with its ending, {name}.yaml") from None
    return preset


def shown_as(path: Path) -> str:
    """A path for messages: relative where that is shorter and stays below the working directory."""
    absolute = Path(os.path.normpath(path.absolute()))
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def read_layers(path: Path, registry: Registry) -> Node:
    """The recipe in ``path`` laid over all that it extends.

    Raises:
        RecipeError: A file that cannot be read, a cycle, or a patch of what is not there.
    """
    layers: list[Node] = []
    seen: list[Path] = []
    while True:
        seen.append(Path(os.path.realpath(path)))
        node = read_file(path, shown_as(path))
        layers.append(_without_extends(node))
        parent = node.get("extends")
        if parent is None or parent.value is None:
            break
        path = _parent(parent, registry)
        _refuse_endless(parent, [*seen, Path(os.path.realpath(path))])
    merged = layers.pop()
    while layers:
        merged = merge(merged, layers.pop())
    return merged


def _refuse_endless(node: Node, chain: list[Path]) -> None:
    if chain[-1] in chain[:-1]:
        arrows = " → ".join(map(shown_as, chain))
        raise RecipeError(f"{node.mark}: extends: the recipe extends itself: {arrows}")
    if len(chain) > MAX_CHAIN:
        raise RecipeError(f"{node.mark}: extends: a chain of more than {MAX_CHAIN} recipes")


def _parent(node: Node, registry: Registry) -> Path:
    if not isinstance(node.value, str):
        raise RecipeError(f"{node.mark}: extends: must be the name of a preset or the path of a file")
    try:
        return locate(str(expand(node.value)), node.mark.folder, registry)
    except (RecipeError, ValueError) as error:
        raise RecipeError(f"{node.mark}: extends: {error}") from None


def _without_extends(node: Node) -> Node:
    assert isinstance(node.value, dict)
    return with_full_specs(Node({key: child for key, child in node.value.items() if key != "extends"}, node.mark))
