"""What differs between two recipes, and whether a run may go on with the difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vlc_core.errors import RecipeError
from vlc_core.options.validation import KeyPath, dotted
from vlc_core.recipe.keys import get
from vlc_core.recipe.load import LoadedRecipe, load_recipe
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry

Effect = Literal["free", "warn", "refuse"]

# What a change means for a run that goes on: nothing, another course from here on, or another run.
EFFECTS: dict[tuple[str, ...], Effect] = {
    ("extends",): "free",
    ("name",): "free",
    ("seed",): "refuse",
    ("model",): "refuse",
    ("model", "from"): "warn",
    ("model", "image", "pretrained"): "warn",
    ("model", "image", "layer_decay"): "warn",
    ("model", "image", "compile"): "warn",
    ("model", "text", "pretrained"): "warn",
    ("model", "text", "layer_decay"): "warn",
    ("model", "text", "compile"): "warn",
    ("objectives",): "refuse",
    ("data", "train"): "refuse",
    ("data", "sampler"): "refuse",
    ("data", "merge_classes"): "refuse",
    ("data", "transform"): "refuse",
    ("data", "workers"): "free",
    ("data", "max_bad"): "free",
    ("train", "steps"): "warn",
    ("train", "epochs"): "warn",
    ("train", "batch_size"): "refuse",
    ("train", "micro_batch_size"): "warn",
    ("train", "precision"): "warn",
    ("train", "clip_grad_norm"): "warn",
    ("train", "max_skipped_steps"): "free",
    ("train", "timeout"): "free",
    ("train", "optimizer", "use"): "refuse",
    ("train", "optimizer", "lr"): "warn",
    ("train", "optimizer", "weight_decay"): "warn",
    ("train", "optimizer", "betas"): "warn",
    ("train", "optimizer", "eps"): "warn",
    ("train", "schedule"): "warn",
    ("evaluate",): "free",
    ("checkpoint",): "free",
    ("deepspeed",): "warn",
    ("output",): "free",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One key that two recipes differ in.

    Attributes:
        path: Its key path.
        key: The same as ``--set`` takes it.
        old: Its value in the first recipe; None where it has none.
        new: Its value in the second.
        effect: What it means for a run that goes on.
    """

    path: KeyPath
    key: str
    old: Any
    new: Any
    effect: Effect

    def __str__(self) -> str:
        if self.old == self.new:
            return f"{self.key}: {self.old!r} stands for another value now"
        return f"{self.key}: {self.old!r} became {self.new!r}"


def compare(old: Recipe, new: Recipe) -> list[Change]:
    """Every key that differs, defaults included, in the order of the schema."""
    before, after = (r.model_dump(mode="json", by_alias=True) for r in (old, new))
    return [Change(p, dotted(p, after), a, b, effect_of(p)) for p, a, b in _differences(before, after, ())]


def refuse_changes(began: Path, now: LoadedRecipe, registry: Registry, *, allow: bool) -> list[Change]:
    """Compares the recipe that a run is to go on with to the one in its folder.

    Args:
        began: The ``recipe.yaml`` in the run folder.
        now: The recipe of today.
        registry: Where components are found.
        allow: Whether the run goes on as another one.

    Returns:
        The changes that the run goes on with.

    Raises:
        RecipeError: Keys differ that make it another run, and that is not allowed.
    """
    then = load_recipe(began, registry=registry)
    changes = [_unexpanded(change, then, now) for change in compare(then.recipe, now.recipe)]
    refused = [change for change in changes if change.effect == "refuse"]
    if refused and not allow:
        raise RecipeError(
            [
                f"{now.where()}: this is not the recipe that the run in {began.parent} began with; change it"
                " back, start in another output folder, or go on all the same by --allow-changes",
                *(f"{now.where(change.path)}: {change}" for change in refused),
            ]
        )
    return changes


def _unexpanded(change: Change, then: LoadedRecipe, now: LoadedRecipe) -> Change:
    """The change with variables in place of their values, which may be secrets."""
    return replace(change, old=get(then.resolved, change.path), new=get(now.resolved, change.path))


def effect_of(path: KeyPath) -> Effect:
    """The effect of a change at ``path``: of the nearest key above it that has one, else ``refuse``."""
    keys = tuple(str(key) for key in path)
    for length in range(len(keys), 0, -1):
        if keys[:length] in EFFECTS:
            return EFFECTS[keys[:length]]
    return "refuse"


def _differences(old: Any, new: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, (*path, i))
    elif old != new:
        yield path, old, new
