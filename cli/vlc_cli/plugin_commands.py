"""Commands that plugins add to ``vlc``."""

from __future__ import annotations

from collections.abc import Container

import typer
from typer.main import get_group
from typer.models import TyperInfo

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
        for group in own.registered_groups:
            _add_group(app, group, status.name)


def _add_group(app: typer.Typer, group: TyperInfo, plugin: str) -> None:
    """Adds ``group``, or its commands to the group that an earlier plugin has given that name."""
    there = next((known.typer_instance for known in app.registered_groups if known.name == group.name), None)
    if there is None:
        app.registered_groups.append(group)
        return
    assert group.typer_instance is not None
    own, taken = get_group(group.typer_instance).commands, get_group(there).commands
    if clash := [name for name in own if name in taken]:
        named = ", ".join(f"{group.name} {name}" for name in clash)
        _refuse(plugin, f"another plugin has added {named}")
        return
    there.registered_commands += group.typer_instance.registered_commands


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
