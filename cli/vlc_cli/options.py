"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from vlc_cli import failures


def print_version(asked: bool) -> None:
    """Prints the version and ends the command when ``asked``."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"vlc {version('vlc-core')}")
        raise typer.Exit


def _remember_debug(asked: bool) -> bool:
    if asked:
        failures.show_tracebacks()
    return asked


Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of a failure.", callback=_remember_debug, is_eager=True),
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; the value is YAML. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a preset such as clip/base.")
]
