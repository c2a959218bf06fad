"""Commands that plugins add to ``vlc``."""

from __future__ import annotations

from collections.abc import Container, MutableMapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from vlc_cli import failures

Commands = MutableMapping[str, Any]
"""Built commands and groups, by name."""


def plugin_commands(taken: Container[str]) -> Commands:
    """What plugins add, by name; groups of one name are one. A plugin that fails is named on stderr and adds nothing.

    Args:
        taken: Names that a plugin may not use.
    """
    from vlc_core.plugins import plugins

    found: Commands = {}
    for status in plugins().status:
        if status.status != "ok":
            continue
        try:
            own = _commands_of(status.name)
        except (Exception, SystemExit) as error:
            _refuse(status.name, f"its vlc_commands raised {failures.summary(error)}")
            continue
        if clash := [name for name in own if name in taken]:
            _refuse(status.name, f"vlc has its own {', '.join(clash)}")
            continue
        for name, command in own.items():
            if clash := _join(found, name, command):
                _refuse(status.name, f"another plugin has added {', '.join(clash)}")
    return found


def _join(found: Commands, name: str, command: Any) -> list[str]:
    """Adds ``command`` to ``found``, or its commands to the group that is there; gives what is there already."""
    there = found.setdefault(name, command)
    if there is command:
        return []
    if not (isinstance(there, TyperGroup) and isinstance(command, TyperGroup)):
        return [name]
    if clash := [f"{name} {below}" for below in command.commands if below in there.commands]:
        return clash
    there.commands.update(command.commands)
    return []


def _commands_of(plugin: str) -> Commands:
    """What ``plugin`` adds, on an app of its own, so that a failure half-way leaves nothing behind."""
    from vlc_core.plugins import plugins

    manager = plugins().manager
    others = [other for name, other in manager.list_name_plugin() if name != plugin]
    own = typer.Typer()
    own.callback()(_nothing)
    manager.subset_hook_caller("vlc_commands", remove_plugins=others)(app=own)
    if not (own.registered_commands or own.registered_groups):
        return {}
    return get_group(own).commands  # builds the commands: a signature that typer refuses is found here


def _refuse(plugin: str, reason: str) -> None:
    failures.warn(f"plugin {plugin!r} adds no commands: {reason}")


def _nothing() -> None:
    """A callback makes an app a group, however few commands it has."""
