"""``--set key.path=YAML`` as one more layer over a recipe."""

from __future__ import annotations

from pathlib import Path

from vlc_core.errors import RecipeError
from vlc_core.recipe.tree import Mark, Node
from vlc_core.recipe.yaml import parse

MAX_SHOWN = 120


def override(argument: str) -> Node:
    """The layer that ``argument`` lays over a recipe, relative to the working directory.

    Raises:
        RecipeError: Not of the form ``key.path=value``, or the value is no YAML.
    """
    mark = Mark(f"--set {_on_one_line(argument)}", 0, Path.cwd())
    key, equals, text = argument.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError(f"{mark}: write it as key.path=value, such as train.steps=1000")
    if parts[0] == "extends":
        raise RecipeError(f"{mark}: what a recipe extends is settled in its file")
    value = parse(text, mark)
    node = Node(None if value is None else value.value, mark)
    for part in reversed(parts):
        node = Node({part: node}, mark)
    return node


def _on_one_line(argument: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in argument)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
