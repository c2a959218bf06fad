"""What can be refused before any rank starts: no data is opened and nothing is written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_core.engine.checkpoint import newest
from vlc_core.engine.folder import RunFolder
from vlc_core.engine.settings import deepspeed_config
from vlc_core.model.start import check_origins
from vlc_core.recipe.changes import refuse_changes

if TYPE_CHECKING:
    from vlc_core.recipe import LoadedRecipe
    from vlc_core.registry import Registry

log = logging.getLogger("vlc")


def preflight(loaded: LoadedRecipe, registry: Registry, *, world: int, resume: bool, allow_changes: bool) -> RunFolder:
    """Checks a recipe against DeepSpeed's section, the number of ranks and its run folder.

    Args:
        loaded: The recipe.
        registry: Where components are found.
        world: How many ranks will train it.
        resume: Whether it goes on with the run in its folder, where there is one.
        allow_changes: Whether it may do so as another run.

    Returns:
        The run folder.

    Raises:
        RecipeError: It contradicts itself or the run that is resumed, or the ranks do not divide its batch.
        StorageError: Its folder cannot be written, or there are no weights where a new run is to start from.
    """
    deepspeed_config(loaded.recipe, world)
    folder = RunFolder(Path(loaded.recipe.output))
    folder.check(resume=resume)
    if resume and folder.recipe.exists():
        for change in refuse_changes(folder.recipe, loaded, registry, allow=allow_changes):
            if change.effect != "free":
                log.warning("going on with another recipe: %s", change)
    if not (resume and newest(folder.checkpoints) is not None):
        check_origins(loaded.recipe.model, loaded.place)
    return folder
