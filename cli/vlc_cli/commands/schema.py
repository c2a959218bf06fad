"""``vlc schema``: what may stand in a recipe, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vlc_cli import options


def schema(
    component: Annotated[
        str | None, typer.Option("--component", metavar="NAME", help="The options of one component alone.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Print the JSON schema of recipes, for editors.

    It knows the options of every component that is installed.
    """
    from vlc_cli import console
    from vlc_core.errors import StorageError
    from vlc_core.plan.json_schema import component_schema, named, recipe_schema
    from vlc_core.plugins import plugins

    registry = plugins().registry
    made = recipe_schema(registry) if component is None else component_schema(named(component, registry))
    if output is None:
        console.say_json(made)
        return
    try:
        output.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{output} cannot be written ({error.strerror}): choose another file with -o") from error
    console.say(f"{output} · a recipe that begins with this line is completed by editors:")
    console.say(f"# yaml-language-server: $schema={output}")
