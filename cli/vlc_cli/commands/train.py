"""``vlc train``: a recipe to a run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from vlc_cli import options
from vlc_cli.failures import rank


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
        typer.Option("--allow-changes", help="Resume although recipe or data are not those the run began with."),
    ] = False,
    devices: Annotated[
        int,
        typer.Option("--devices", min=1, help="Ranks to start on this machine; under a launcher, its ranks are used."),
    ] = 1,
    restarts: Annotated[
        int,
        typer.Option(
            "--restarts", min=0, help="Times that --devices starts again from the last checkpoint, a rank lost."
        ),
    ] = 0,
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

    from vlc_core.engine.launch import keep_running, launched
    from vlc_core.engine.preflight import preflight

    if devices > 1 and not launched():
        # What the first rank would refuse while the others wait for it.
        preflight(loaded, found.registry, world=devices, resume=resume, allow_changes=allow_changes)
        raise typer.Exit(keep_running(context.obj, devices, restarts=restarts))

    from vlc_cli.progress import TrainingProgress
    from vlc_core.engine.train import train as train_recipe

    progress = TrainingProgress()
    found.manager.register(progress)
    if rank() == 0:
        progress.preparing()
    try:
        outcome = train_recipe(loaded, found, resume=resume, allow_changes=allow_changes)
    finally:
        progress.close()
        found.manager.unregister(progress)
    raise typer.Exit(outcome.exit_code)
