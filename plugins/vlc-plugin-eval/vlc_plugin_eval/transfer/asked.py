"""What a user calls tasks: sources, or sources for training with others for testing, here or in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from vlc_core.errors import RecipeError
from vlc_core.naming import SourceSpec, find_sources
from vlc_core.nearest import did_you_mean
from vlc_core.options import check
from vlc_core.recipe.tree import Mark, Node
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry

Score = Literal["top1", "mean_per_class"]

KEYS = ("name", "train", "test", "score")
_FILES = (".yaml", ".yml")
_SPLITS = ("train", "training", "train.jsonl", "train.csv", "train.tsv", "train.parquet")


class Asked(NamedTuple):
    """A task that is meant.

    Attributes:
        name: What it is called.
        train: What its examples are drawn from.
        test: What is measured on; None where a part of ``train`` is to be held out for that.
        score: What settings are chosen by and the mean over tasks is taken of; None for what all tasks have.
    """

    name: str
    train: SourceSpec
    test: SourceSpec | None
    score: Score | None


def asked(tasks: Sequence[str], registry: Registry) -> list[Asked]:
    """The tasks that ``tasks`` mean.

    Args:
        tasks: Each a SOURCE, ``{train: SOURCE, test: SOURCE}``, or a YAML file with a list of these. Paths in a file
            belong to its folder.
        registry: Where datasets are found.

    Raises:
        RecipeError: One is nothing of these, or two have one name.
        DataError: A source is not there.
    """
    found = [task for text in tasks for task in _of_argument(text, registry)]
    names = [task.name for task in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"two tasks are called {twice!r}: give one another name, {{name: …, train: …, test: …}}")
    return found


def _of_argument(text: str, registry: Registry) -> Iterator[Asked]:
    if text.endswith(_FILES):
        path = Path(text)
        for number, listed in enumerate(_listed(path), start=1):
            yield _task(listed.plain(), f"{text}, task {number}", registry, path.absolute().parent)
        return
    given: Any = text
    if text.lstrip().startswith("{"):
        node = parse(text, Mark("TASK", 0, Path.cwd()))
        given = None if node is None else node.plain()
    yield _task(given, f"TASK {text}", registry, Path())


def _listed(path: Path) -> Sequence[Node]:
    try:
        node = parse(path.read_text(encoding="utf-8"), Mark(str(path), 1, path.absolute().parent))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RecipeError(f"{path} cannot be read ({why}): name a YAML file with a list of tasks") from error
    if node is None or not isinstance(node.value, tuple) or not node.value:
        raise RecipeError(f"{path} is no list of tasks: write them as '- {{train: SOURCE, test: SOURCE}}', one a line")
    return node.value


def _task(given: Any, where: str, registry: Registry, folder: Path) -> Asked:
    if not isinstance(given, dict) or "use" in given:
        train = _source(given, where, registry, folder)
        return Asked(_name(train.name), train, None, None)
    wrong = next((key for key in given if key not in KEYS), None)
    if wrong is not None:
        raise RecipeError(f"{where}: a task has no {wrong!r}{did_you_mean(str(wrong), KEYS)} It has {', '.join(KEYS)}")
    if "train" not in given:
        raise RecipeError(f"{where}: say what to learn from, {{train: SOURCE, test: SOURCE}}")
    score = given.get("score")
    if score is not None and score not in get_args(Score):
        raise RecipeError(f"{where}: score is {score!r}, and may be {' or '.join(get_args(Score))}")
    train = _source(given["train"], f"{where}: train", registry, folder)
    test = _source(given["test"], f"{where}: test", registry, folder) if "test" in given else None
    return Asked(str(given.get("name", _name(train.name))), train, test, score)


def _source(given: Any, where: str, registry: Registry, folder: Path) -> SourceSpec:
    if isinstance(given, Mapping) and isinstance(given.get("use"), str):
        text = json.dumps(_resolved(dict(given), registry, folder))
    elif isinstance(given, str):
        text = str(folder / given) if (folder / given).exists() else given
    else:
        raise RecipeError(f"{where} is no source: name a folder, a table, tars, or a dataset as {{use: NAME, …}}")
    specs = find_sources(text, registry)
    if len(specs) != 1:
        raise RecipeError(f"{where}: {given} has {len(specs)} sources, and a task learns from one: name that one")
    return specs[0]


def _resolved(block: dict[str, Any], registry: Registry, folder: Path) -> dict[str, Any]:
    """``block`` with its relative paths taken against ``folder``."""
    options = {key: value for key, value in block.items() if key not in ("use", "name", "prompts", "share")}
    for path in check(registry, "dataset", block["use"], options).paths:
        value = block.get(str(path[0]))
        if len(path) == 1 and isinstance(value, str) and "://" not in value:
            block[str(path[0])] = str(folder / value)
    return block


def _name(path: str) -> str:
    """The last part of a path that says more than that it is for training."""
    parts = [part for part in path.rstrip("/").split("/") if part]
    return next((part for part in reversed(parts) if part not in _SPLITS), path)
