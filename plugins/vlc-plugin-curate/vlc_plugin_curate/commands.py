"""``vlc data clean``, ``dedupe`` and ``overlap``. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import typer

from vlc_plugin_curate.cleaning.command import clean
from vlc_plugin_curate.dedupe_command import dedupe
from vlc_plugin_curate.overlap_command import overlap


def add_commands(app: typer.Typer) -> None:
    """Adds to ``vlc data``."""
    data = typer.Typer(help="Look into data, and prepare it.", no_args_is_help=True, rich_markup_mode=None)
    for command in (clean, dedupe, overlap):
        data.command(command.__name__)(command)
    app.add_typer(data, name="data")
