"""Whether a run may go on under a recipe that is no longer quite its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_core.errors import RecipeError
from vlc_core.recipe import Change, compare, load_recipe

if TYPE_CHECKING:
    from vlc_core.recipe import LoadedRecipe
    from vlc_core.registry import Registry

log = logging.getLogger("vlc")


def check_changes(own: Path, loaded: LoadedRecipe, registry: Registry, *, allow: bool) -> None:
    """Compares a run's own recipe with the one that it is to go on with.

    Args:
        own: ``recipe.yaml`` of the run folder.
        loaded: What the run is to go on with.
        registry: Where components are found.
        allow: Go on although the changes make it another run.

    Raises:
        RecipeError: The changes make it another run; it names every one of them.
    """
    changes = compare(load_recipe(own, registry=registry).recipe, loaded.recipe)
    refused = [change for change in changes if change.effect == "refuse"]
    if refused and not allow:
        raise RecipeError(
            [
                f"{own} differs in {_count(refused)} that would make it another run: undo the change, choose another "
                f"--set output=…, or go on regardless with --allow-changes",
                *(f"  {change}" for change in refused),
            ]
        )
    for change in changes:
        if change.effect != "free":
            log.warning("resuming with another recipe: %s", change)


def _count(changes: list[Change]) -> str:
    return "one key" if len(changes) == 1 else f"{len(changes)} keys"
