"""What somebody calls a source of texts: a recipe, a text file, a table, a folder, a dataset by its name or options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vlc_core import assemble, options
from vlc_core.captions.lines import SUFFIXES as LINES
from vlc_core.captions.lines import count_lines, read_lines
from vlc_core.errors import DataError, RecipeError, UnknownComponent
from vlc_core.loading.sources import CLASS_NAME, TrainingSource
from vlc_core.options.use import Use
from vlc_core.recipe import load_recipe
from vlc_core.recipe.merge import merge
from vlc_core.recipe.overrides import override
from vlc_core.recipe.tree import Mark, from_plain
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry

RECIPES = (".yaml", ".yml")
TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
TARS = (".tar", ".tar.gz", ".tgz")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
COLUMNS = ("captions", "caption", "text", "texts", "sentence")
"""What a column of texts is called, where nobody says."""

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Captions:
    """The texts of a source.

    Attributes:
        name: What messages call it.
        samples: How many samples it has, or lines.
        walk: Their texts, sample by sample; class names, through their templates, come before and are no sample of
            their own. A sample that cannot be read has no texts.
        classes: How many class names there are.
    """

    name: str
    samples: int
    walk: Callable[[], Iterator[Texts]]
    classes: int = 0


def open_captions(source: str, registry: Registry, *, sets: Sequence[str] = ()) -> Captions:
    """Opens what ``source`` means.

    Args:
        source: A recipe or preset, whose training data is read; a text file with a text a line; a table of images and
            captions; a folder of class folders; webdataset tars; the name of a dataset, or ``{use: NAME, …}``.
        registry: Where datasets and presets are found.
        sets: ``KEY=VALUE`` changes of the recipe, or options of the dataset.

    Raises:
        RecipeError: ``source`` is none of these, or options are wrong.
        DataError: What it names is missing or cannot be read.
    """
    path = Path(os.path.expanduser(source))
    lower = source.lower()
    if lower.endswith(RECIPES):
        return _of_recipe(source, registry, sets)
    if lower.endswith(LINES):
        if sets:
            raise RecipeError(f"--set {sets[0]}: a text file has no options; leave it out.")
        return Captions(source, count_lines(path), lambda: ((line,) for line in read_lines(path)))
    if source.lstrip().startswith("{"):
        return _of_dataset(source, _written(source), registry, sets)
    if lower.endswith(TARS):
        return _of_dataset(source, {"use": "webdataset", "path": str(path)}, registry, sets)
    if _bare(lower).endswith(TABLES):
        return _of_table(str(path), registry, sets)
    if path.is_dir():
        return _of_dataset(source, {"use": "folder", "path": str(path)}, registry, sets)
    return _by_name(source, registry, sets)


def _by_name(source: str, registry: Registry, sets: Sequence[str]) -> Captions:
    names = {name for entry in registry.entries("dataset") for name in (entry.name, entry.long_name)}
    if source in names:
        return _of_dataset(source, {"use": source}, registry, sets)
    if Path(source).is_file():
        known = ", ".join((".txt", *TABLES, *RECIPES))
        raise DataError(f"{source}: its name does not tell what it is; end it in one of {known}.")
    try:
        registry.find("recipe", source)
    except UnknownComponent as error:
        if os.sep in source and not any(entry.plugin == source.partition("/")[0] for entry in registry.entries()):
            raise DataError(
                f"There is nothing at {source}; name a text file, a table, a recipe or a dataset."
            ) from None
        raise RecipeError(
            f"{source!r} is no file, no preset and no dataset; datasets are {', '.join(sorted(names))}."
        ) from error
    return _of_recipe(source, registry, sets)


def _of_recipe(source: str, registry: Registry, sets: Sequence[str]) -> Captions:
    loaded = load_recipe(source, sets=sets, registry=registry)
    data = assemble.build_data(loaded.recipe, registry, loaded.place)
    return of_sources(source, data.sources)


def _of_table(path: str, registry: Registry, sets: Sequence[str]) -> Captions:
    """A table, with its column of texts found where nobody named it, and also where it has no images."""
    spec: dict[str, Any] = {"use": "manifest", "path": path}
    if any(argument.partition("=")[0].strip() in ("text", "label") for argument in sets):
        return _of_dataset(path, spec, registry, sets)
    refused: DataError | None = None
    for name in COLUMNS:
        for more in ({}, {"image": name, "group": False}):
            try:
                return _of_dataset(path, spec | {"text": name} | more, registry, sets)
            except DataError as error:
                if "there is no column" not in str(error):
                    raise
                refused = error
    raise DataError(
        f"{path} has no column called {' or '.join(COLUMNS)}; name yours, as in --set text=COLUMN, and that of the "
        "images, if it is not called image, as in --set image=COLUMN."
    ) from refused


def _of_dataset(name: str, spec: dict[str, Any], registry: Registry, sets: Sequence[str]) -> Captions:
    node = from_plain(spec, Mark(name, 1, Path.cwd()))
    for argument in sets:
        node = merge(node, override(argument))
    given: dict[str, Any] = node.plain()
    prompts = given.pop("prompts", None)
    given.pop("name", None)
    templates = CLASS_NAME if prompts is None else options.templates(registry, prompts)
    dataset = options.build(registry, "dataset", Use(**given), where=name)
    return of_sources(name, (TrainingSource(name, dataset, templates),))


def _written(source: str) -> dict[str, Any]:
    """``{use: NAME, …}`` as somebody wrote it on a command line."""
    node = parse(source, Mark(source, 1, Path.cwd()))
    plain = None if node is None else node.plain()
    if not isinstance(plain, dict) or not isinstance(plain.get("use"), str):
        raise RecipeError(f"{source}: name the dataset in it, as in {{use: shapes, length: 1000}}.")
    return plain


def of_sources(name: str, sources: Sequence[TrainingSource]) -> Captions:
    """The texts that a run would draw from ``sources``."""
    samples = sum(len(source.dataset) for source in sources)
    classes = sum(len(source.dataset.classes or ()) for source in sources)
    return Captions(name, samples, partial(_walk, tuple(sources)), classes)


def _walk(sources: Sequence[TrainingSource]) -> Iterator[Texts]:
    for source in sources:
        names = source.dataset.classes or ()
        if names:
            yield tuple(template.replace("{}", name) for name in names for template in source.prompts)
    for source in sources:
        for index in range(len(source.dataset)):
            try:
                yield tuple(source.dataset.texts(index))
            except DataError:
                yield ()


def _bare(name: str) -> str:
    return next((name.removesuffix(ending) for ending in COMPRESSED if name.endswith(ending)), name)
