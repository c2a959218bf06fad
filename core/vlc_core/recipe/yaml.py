"""Reading YAML that may be wrong or hostile, with a mark on every value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from vlc_core.errors import RecipeError
from vlc_core.recipe.builder import TreeBuilder
from vlc_core.recipe.tree import Mark, Node

MAX_BYTES = 1_000_000


def read_file(path: Path, shown: str) -> Node:
    """The mapping in a YAML file.

    Args:
        path: Where it lies.
        shown: What messages call it.

    Raises:
        RecipeError: It cannot be read, is no YAML or goes beyond a limit.
    """
    try:
        if path.is_dir():
            raise RecipeError(f"{shown} is a folder, not a recipe{_inside(path)}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(f"{shown}: no such recipe{_neighbours(path)}") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return read_recipe(content, Mark(shown, 1, path.absolute().parent))


def read_recipe(content: bytes, mark: Mark) -> Node:
    """The mapping in the bytes of a YAML file whose first line is at ``mark``.

    Raises:
        RecipeError: As of :func:`read_file`.
    """
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{mark.source}: larger than {MAX_BYTES // 1_000_000} MB, which no recipe is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(f"{mark.source}:{line}: not a text file in UTF-8; a recipe is YAML text") from None
    node = parse(text, mark)
    if node is None or node.value is None:
        raise RecipeError(f"{mark.source}: empty; a recipe is a mapping such as 'model: ...'")
    if not isinstance(node.value, dict):
        what = "a list" if isinstance(node.value, tuple) else "a single value"
        raise RecipeError(f"{node.mark}: this is {what}; a recipe is a mapping such as 'model: ...'")
    return node


def parse(text: str, mark: Mark) -> Node | None:
    """The one document in ``text`` whose first line is at ``mark``; None where there is none.

    Raises:
        RecipeError: No YAML, a tag, a duplicate or unusable key, or beyond a limit.
    """
    builder = TreeBuilder(mark)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise RecipeError(f"{_position(mark, error)}: {_problem(text, error)}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n")
        place = replace(mark, line=mark.line + line) if mark.line else mark
        raise RecipeError(
            f"{place}: holds the character #x{ord(text[error.position]):02x}; a recipe is plain text"
        ) from None
    return builder.document


def _position(mark: Mark, error: yaml.MarkedYAMLError) -> Mark:
    place = error.problem_mark or error.context_mark
    return replace(mark, line=mark.line + place.line) if mark.line and place is not None else mark


def _problem(text: str, error: yaml.MarkedYAMLError) -> str:
    """PyYAML's complaint as a sentence; the commonest ones with what to do."""
    problem = str(error.problem or error.context or "cannot be read")
    lines, place = text.splitlines(), error.problem_mark
    line = lines[place.line] if place is not None and place.line < len(lines) else ""
    if "\\t" in problem or line[: len(line) - len(line.lstrip())].count("\t"):
        return "a tab stands where YAML wants spaces; indent by spaces"
    if problem == "mapping values are not allowed here":
        return "a ':' too many, or wrong indentation; put text that holds ': ' in quotes"
    if problem.startswith("could not find expected ':'"):
        return "a key without ':' after it"
    context = f" {error.context}" if error.context and error.problem else ""
    return f"not YAML: {problem}{context}"


def _neighbours(path: Path) -> str:
    """A recipe of a similar name in the same folder, where there is one."""
    from vlc_core.nearest import nearest

    try:
        names = {p.stem: p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")}
    except OSError:
        return f"; the folder {path.parent} does not exist" if not path.parent.exists() else ""
    close = nearest(path.stem, names)
    return "" if close is None else f"; did you mean {names[close]!r}?"


def _inside(folder: Path) -> str:
    recipe = folder / "recipe.yaml"
    return f"; did you mean {recipe}?" if recipe.is_file() else ""
