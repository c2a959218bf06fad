"""What vlc-plugin-curate offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def vlc_commands(app: typer.Typer) -> None:
    """Adds the commands of this plugin."""
    from vlc_plugin_curate.commands import add_commands

    add_commands(app)
