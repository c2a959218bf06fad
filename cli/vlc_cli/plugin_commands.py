"""Commands that plugins add to ``vlc``."""

from __future__ import annotations

from collections.abc import Container

import typer
from typer.main import get_group

from vlc_cli import failures


def add_plugin_commands(app: typer.Typer, taken: Container[str]) -> None:
    """Lets every plugin add commands to ``app``; one that fails is named on stderr and adds none.

    Args:
        app: Gets the commands.
        taken: Names that a plugin may not use.
    """
    from vlc_core.plugins import plugins

    for status in plugins().status:
        if status.status != "ok":
            continue
        try:
            own = _commands_of(status.name)
        except (Exception, SystemExit) as error:
            _refuse(status.name, f"its vlc_commands raised {failures.summary(error)}")
            continue
        if clash := [name for name in get_group(own).commands if name in taken]:
            _refuse(status.name, f"vlc has its own {', '.join(clash)}")
            continue
        app.registered_commands += own.registered_commands
        app.registered_groups += own.registered_groups


def _commands_of(plugin: str) -> typer.Typer:
    """What ``plugin`` adds, on an app of its own, so that a failure half-way leaves nothing behind."""
    from vlc_core.plugins import plugins

    manager = plugins().manager
    others = [other for name, other in manager.list_name_plugin() if name != plugin]
    own = typer.Typer()
    own.callback()(_nothing)
    manager.subset_hook_caller("vlc_commands", remove_plugins=others)(app=own)
    get_group(own)  # builds the commands: a signature that typer refuses is found here
    return own


def _refuse(plugin: str, reason: str) -> None:
    failures.warn(f"plugin {plugin!r} adds no commands: {reason}")


def _nothing() -> None:
    """A callback makes an app a group, however few commands it has."""
