"""``vlc embed`` and ``vlc search``. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import typer

from vlc_plugin_search.embed_command import embed
from vlc_plugin_search.search_command import search


def add_commands(app: typer.Typer) -> None:
    """Adds both to ``app``."""
    for command in (embed, search):
        app.command(command.__name__)(command)
