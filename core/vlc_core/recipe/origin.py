"""What a recipe takes over from the run that ``model.from`` names: its model section, under the recipe's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError
from vlc_core.folders import found
from vlc_core.recipe.components import with_full_specs
from vlc_core.recipe.interpolation import escape, expand
from vlc_core.recipe.merge import merge
from vlc_core.recipe.paths import resolve_path
from vlc_core.recipe.tree import Node, from_plain

MODEL = "model.json"


def model_home(path: Path) -> Path | None:
    """The model folder that ``path`` means: itself, or ``model`` in a run; None where there is neither."""
    homes = (found(path), found(path / "model"))
    return next((folder for folder in homes if (folder / MODEL).is_file()), None)


def read_section(home: Path) -> dict[str, Any]:
    """The model section of a model folder, as plain data.

    Raises:
        ValueError: The file is not a mapping in JSON.
        OSError: It cannot be read.
    """
    section = json.loads((home / MODEL).read_bytes())
    if not isinstance(section, dict):
        raise ValueError("it is no mapping")
    return section


def over_origin(tree: Node) -> Node:
    """``tree`` with its model section laid over that of the run that it starts from.

    A recipe that says everything itself is content without that run: it may have been resumed, or copied.

    Raises:
        RecipeError: The recipe says no encoders itself, and the run cannot tell which.
    """
    model, start = tree.at(("model",)), tree.at(("model", "from"))
    if model is None or start is None or not isinstance(start.value, str):
        return tree
    try:
        _, path = resolve_path(start.value, str(expand(start.value)), start.mark.folder)
        home = model_home(Path(path))
        section = {} if home is None else read_section(home)
    except (OSError, ValueError):
        path, home, section = start.value, None, {}
    if home is None and not all(model.get(tower) is not None for tower in ("image", "text")):
        raise RecipeError(f"{start.mark}: model.from: {path} holds no model: give a run folder, or its model folder")
    under = from_plain({"model": _escaped(section)}, start.mark)
    return merge(with_full_specs(under), tree)


def _escaped(value: Any) -> Any:
    """The values of a finished run have no variables in them any more."""
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    return escape(value) if isinstance(value, str) else value
