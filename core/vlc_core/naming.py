"""What a user calls data, to the datasets that are meant: a path, a recipe, or a block of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from vlc_core import options
from vlc_core.errors import DataError, RecipeError, UnknownComponent
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.sources import CLASS_NAME, TrainingSource
from vlc_core.options.signatures import marked, read_options
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_core.recipe import LoadedRecipe, load_recipe
from vlc_core.recipe.merge import merge
from vlc_core.recipe.overrides import override
from vlc_core.recipe.tree import Mark, from_plain
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry

Split = Literal["train", "evaluate", "all"]

Block = dict[str, Any]
"""What a recipe says of a dataset: ``use`` and its options."""

_RECIPES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a plugin's ``vlc_recognise`` makes of a path.

    Attributes:
        block: The dataset that reads it.
        note: What its user may not have thought of; empty where there is nothing.
    """

    block: Block
    note: str = ""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A dataset that is meant.

    Attributes:
        name: What it is called.
        use: The dataset and its options.
        where: Its place in a recipe, for messages; empty outside of one.
        note: What its user may not have thought of; empty where there is nothing.
        prompts: The templates that make captions of its class names, or the name of some; None for the names alone.
    """

    name: str
    use: Use
    where: str = ""
    note: str = ""
    prompts: str | list[str] | None = None

    @property
    def block(self) -> str:
        """How a recipe writes it, on one line."""
        plain = {"use": self.use.use} | self.use.options
        return str(
            yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**31)
        ).strip()

    def open(self, registry: Registry) -> Dataset:
        """The dataset.

        Raises:
            RecipeError: No plugin offers it, or it refuses its options.
            DataError: What it reads is missing, malformed or empty.
        """
        dataset: Dataset = options.build(registry, "dataset", self.use, where=self.where)
        if len(dataset) == 0:
            raise DataError(f"{self.name} holds no sample: check its options")
        return dataset

    def opened(self, registry: Registry) -> TrainingSource:
        """The dataset with its templates, as training reads it; raises as :meth:`open` does."""
        prompts = CLASS_NAME if self.prompts is None else options.templates(registry, self.prompts)
        return TrainingSource(self.name, self.open(registry), prompts)


def find_sources(
    source: str, registry: Registry, *, sets: Sequence[str] = (), split: Split = "train"
) -> list[SourceSpec]:
    """The datasets that ``source`` means.

    Args:
        source: The path or URL of a folder, table or tars; a recipe; or what stands in one, ``{use: …}`` or a name.
        registry: Where datasets and recipes are found.
        sets: ``key=value`` options of the dataset, or changes to the recipe.
        split: Which data of a recipe.

    Raises:
        RecipeError: The recipe, the block or a ``sets`` is wrong, or ``source`` is nothing of these.
        DataError: There is no such path.
    """
    if source.lstrip().startswith("{"):
        return [_from_block(source, sets)]
    if source.endswith(_RECIPES):
        return _from_recipe(source, registry, sets, split)
    found: Recognised | None = plugins().hook.vlc_recognise(path=source)
    if found is not None:
        return [replace(_with_sets(found.block, source, sets), note=found.note)]
    if _missing(registry, "dataset", source) is None:  # first: tcl/shapes is a recipe, shapes the data that it draws
        return [_with_sets({"use": source}, source, sets)]
    no_recipe = _missing(registry, "recipe", source)
    if no_recipe is None:
        return _from_recipe(source, registry, sets, split)
    raise _unknown(source, registry, no_recipe)


def _from_block(text: str, sets: Sequence[str]) -> SourceSpec:
    node = parse(text, Mark(text, 0, Path.cwd()))
    plain = None if node is None else node.plain()
    if not isinstance(plain, dict) or not isinstance(plain.get("use"), str):
        raise RecipeError(f"SOURCE {text} does not name a dataset: write it as in a recipe, {{use: folder, path: …}}")
    return _with_sets(plain, str(plain.get("path", plain["use"])), sets)


def _with_sets(block: dict[str, Any], name: str, sets: Sequence[str]) -> SourceSpec:
    node = from_plain(block, Mark("SOURCE", 0, Path.cwd()))
    for argument in sets:
        node = merge(node, override(argument))
    plain = node.plain()
    prompts = plain.get("prompts")
    for key in options.RESERVED["dataset"] - {"use"}:  # a recipe reads them beside the dataset's options
        plain.pop(key, None)
    return SourceSpec(name, Use.model_validate(plain), prompts=prompts)


def _from_recipe(source: str, registry: Registry, sets: Sequence[str], split: Split) -> list[SourceSpec]:
    loaded = load_recipe(source, sets=sets, registry=registry)
    found: list[SourceSpec] = []
    if split in ("train", "all"):
        for spec in loaded.recipe.data.train:
            found.append(SourceSpec(spec.name, spec, loaded.place(f"data.train.{spec.name}"), prompts=spec.prompts))
    if split in ("evaluate", "all"):
        for one in _of_evaluators(loaded, registry):
            if all(one.block != other.block for other in found):
                found.append(one)
    if not found:
        raise RecipeError(f"{source} evaluates on no data of its own: inspect what it trains on, without --split")
    return found


def _of_evaluators(loaded: LoadedRecipe, registry: Registry) -> Iterator[SourceSpec]:
    """The datasets among the options of the recipe's evaluators."""
    for spec in loaded.recipe.evaluate.with_:
        component = registry.find("evaluator", spec.use).load()
        for option in read_options(component):
            for found in marked(option.annotation, spec.options.get(option.name), (option.name,)):
                if getattr(found.marker, "kind", "") == "dataset":
                    use = found.value if isinstance(found.value, Use) else Use.model_validate(found.value)
                    yield SourceSpec(f"{spec.name}.{option.name}", use, loaded.place(f"evaluate.with.{spec.name}"))


def _missing(registry: Registry, kind: str, name: str) -> UnknownComponent | None:
    """Why nothing of a kind has a name; None where something has."""
    try:
        registry.find(kind, name)
    except UnknownComponent as error:
        return error
    return None


def _unknown(source: str, registry: Registry, no_recipe: UnknownComponent) -> RecipeError | DataError:
    if os.path.exists(source):
        return RecipeError(
            f"{source} does not tell by its name how it is to be read: write it as in a recipe, "
            f"'{{use: manifest, path: {source}, format: csv}}'"
        )
    if any(entry.plugin == source.partition("/")[0] for entry in registry.entries()):
        return no_recipe
    if "/" in source or "." in source:
        return DataError(f"there is no {source}: name a folder, a table, tars or a recipe")
    known = ", ".join(sorted(entry.name for entry in registry.entries("dataset")))
    return RecipeError(
        f"{source!r} is no path, no recipe and no dataset: name a folder, a table, tars or a recipe; "
        f"datasets are {known}"
    )
