"""``vlc train``: a recipe to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.plugins import Plugins
    from vlc_core.recipe import LoadedRecipe


def train(
    context: typer.Context,
    recipe: options.RecipeArgument,
    sets: options.Sets = [],  # noqa: B006
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the newest whole checkpoint of the recipe's output folder."),
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Resume although the recipe is not the one the run began with."),
    ] = False,
    devices: Annotated[
        int,
        typer.Option("--devices", min=1, help="Ranks to start on this machine; under a launcher, its ranks are used."),
    ] = 1,
    debug: options.Debug = False,
) -> None:
    """Train a model as a recipe says."""
    from vlc_cli.logs import show_warnings
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    show_warnings()
    found = plugins()
    # Read before any rank is started, so that a fault in the recipe is told once and at once.
    loaded = load_recipe(recipe, sets=sets, registry=found.registry)

    from vlc_core.engine.launch import launched, spawn

    if devices > 1 and not launched():
        _refuse_early(loaded, found, devices=devices, resume=resume, allow_changes=allow_changes)
        raise typer.Exit(spawn(context.obj, devices))

    from vlc_cli.progress import TrainingProgress
    from vlc_core.engine.train import train as train_recipe

    found.manager.register(TrainingProgress(), name="vlc-cli-progress")
    outcome = train_recipe(loaded, found, resume=resume, allow_changes=allow_changes)
    raise typer.Exit(outcome.exit_code)


def _refuse_early(
    loaded: LoadedRecipe, found: Plugins, *, devices: int, resume: bool, allow_changes: bool
) -> None:
    """What the first rank would refuse while the others wait for it."""
    from vlc_core.engine.folder import RunFolder
    from vlc_core.engine.settings import deepspeed_config
    from vlc_core.recipe.changes import refuse_changes

    deepspeed_config(loaded.recipe, devices)
    folder = RunFolder(Path(loaded.recipe.output))
    folder.check(resume=resume)
    if resume and folder.recipe.exists():
        refuse_changes(folder.recipe, loaded, found.registry, allow=allow_changes)
