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
    path = folder / Path(name).expanduser()
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
        real = Path(os.path.realpath(path))
        if real in seen or len(seen) >= MAX_CHAIN:
            chain = " → ".join(shown_as(p) for p in [*seen, real])
            what = "it extends itself" if real in seen else f"a chain of more than {MAX_CHAIN} recipes"
            raise RecipeError(f"{shown_as(seen[-1])}: extends: {what}: {chain}")
        seen.append(real)
        node = read_file(path, shown_as(path))
        layers.append(node)
        parent = node.get("extends")
        if parent is None or parent.value is None:
            break
        path = _parent(parent, registry)
    merged = _without_extends(layers.pop())
    while layers:
        merged = merge(merged, _without_extends(layers.pop()))
    return merged


def _parent(node: Node, registry: Registry) -> Path:
    if not isinstance(node.value, str):
        raise RecipeError(f"{node.mark}: extends: must be the name of a preset or the path of a file")
    try:
        return locate(str(expand(node.value)), node.mark.folder, registry)
    except (RecipeError, ValueError) as error:
        raise RecipeError(f"{node.mark}: extends: {error}") from None


def _without_extends(node: Node) -> Node:
    assert isinstance(node.value, dict)
    return with_full_specs(
        Node({key: child for key, child in node.value.items() if key != "extends"}, node.mark)
    )
