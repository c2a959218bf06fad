"""What a user calls data, to the datasets that are meant: a path, a recipe, or a block of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from vlc_core import DataError, Dataset, RecipeError, options
from vlc_core.errors import UnknownComponent
from vlc_core.options.signatures import marked, read_options
from vlc_core.options.use import Use
from vlc_core.recipe import LoadedRecipe, load_recipe
from vlc_core.recipe.merge import merge
from vlc_core.recipe.overrides import override
from vlc_core.recipe.tree import Mark, from_plain
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry
from vlc_plugin_data.inspecting.recognise import recognise, tables_in

Split = Literal["train", "evaluate", "all"]

_RECIPES = (".yaml", ".yml")
_FEW = 4


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A dataset that is meant.

    Attributes:
        name: What it is called.
        use: The dataset and its options.
        where: Its place in a recipe, for messages; empty outside of one.
        note: What its user may not have thought of; empty where there is nothing.
    """

    name: str
    use: Use
    where: str = ""
    note: str = ""

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
    found = recognise(source)
    if found is not None:
        return [replace(_with_sets(found, source, sets), note=_beside(found))]
    if _names(registry, "recipe", source):
        return _from_recipe(source, registry, sets, split)
    if _names(registry, "dataset", source):
        return [_with_sets({"use": source}, source, sets)]
    raise _unknown(source)


def _from_block(text: str, sets: Sequence[str]) -> SourceSpec:
    node = parse(text, Mark("SOURCE", 0, Path.cwd()))
    plain = None if node is None else node.plain()
    if not isinstance(plain, dict) or not isinstance(plain.get("use"), str):
        raise RecipeError(f"SOURCE {text} does not name a dataset: write it as in a recipe, {{use: folder, path: …}}")
    return _with_sets(plain, str(plain.get("path", plain["use"])), sets)


def _with_sets(block: dict[str, Any], name: str, sets: Sequence[str]) -> SourceSpec:
    node = from_plain(block, Mark("SOURCE", 0, Path.cwd()))
    for argument in sets:
        node = merge(node, override(argument))
    plain = node.plain()
    for key in options.RESERVED["dataset"] - {"use"}:  # a recipe reads them beside the dataset's options
        plain.pop(key, None)
    return SourceSpec(name, Use.model_validate(plain))


def _beside(found: dict[str, Any]) -> str:
    """Names the tables in a folder of class folders: captions, if there are any, are in one of them."""
    tables = tables_in(found["path"]) if found["use"] == "folder" else []
    return f"{', '.join(tables[:_FEW])} beside the class folders: inspect a table for what it says" if tables else ""


def _from_recipe(source: str, registry: Registry, sets: Sequence[str], split: Split) -> list[SourceSpec]:
    loaded = load_recipe(source, sets=sets, registry=registry)
    found: list[SourceSpec] = []
    if split in ("train", "all"):
        for spec in loaded.recipe.data.train:
            found.append(SourceSpec(spec.name, spec, loaded.place(f"data.train.{spec.name}")))
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


def _names(registry: Registry, kind: str, name: str) -> bool:
    try:
        registry.find(kind, name)
    except UnknownComponent:
        return False
    return True


def _unknown(source: str) -> RecipeError | DataError:
    if os.path.exists(source):
        return RecipeError(
            f"{source} does not tell by its name how it is to be read: write it as in a recipe, "
            f"'{{use: manifest, path: {source}, format: csv}}'"
        )
    if "/" in source or "." in source:
        return DataError(f"there is no {source}: name a folder, a table, tars or a recipe")
    return RecipeError(
        f"{source!r} is no path, no recipe and no dataset: name a folder, a table, tars or a recipe; "
        "vlc list-plugins lists the datasets"
    )
