"""``vlc init``: a first recipe to be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlc_cli import options

SCHEMA = "recipe.schema.json"


def init(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="A method such as clip, or a preset such as clip/gpu.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; by default METHOD.yaml, - prints it."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Write a commented first recipe for a method."""
    from vlc_cli import console
    from vlc_core.errors import StorageError
    from vlc_core.plan.first_recipe import find_preset, first_recipe
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    registry = plugins().registry
    entry = find_preset(method, registry)
    path = Path(f"{method.replace('/', '-')}.yaml") if output is None else output
    printed = str(path) == "-"
    if path.exists() and not printed:
        raise StorageError(f"{path} is there already: choose another file with -o, or remove it")
    loaded = load_recipe(entry.long_name, registry=registry)
    text = first_recipe(loaded, entry, registry, file="recipe.yaml" if printed else str(path), schema=SCHEMA)
    if printed:
        console.say(text)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}): choose another file with -o") from error
    console.say(f"{path} · {entry.long_name}, {entry.summary}")
    console.say(console.dim(f"vlc check {path} says what it takes, vlc train {path} trains it"))
