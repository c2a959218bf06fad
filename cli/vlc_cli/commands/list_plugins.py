"""``vlc list-plugins``: what recipes can name, and which plugins could not be loaded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.plugins import Plugins, PluginStatus

Row = dict[str, str]


def list_plugins(json: options.Json = False, debug: options.Debug = False) -> None:
    """List what the installed plugins offer to recipes."""
    from vlc_cli import console
    from vlc_core.plugins import plugins

    found = plugins()
    if json:
        console.say_json(_components(found) + _other_plugins(found))
        return
    components = _components(found)
    shown = [(row["kind"].replace("_", " "), _usable_name(row), row["plugin"], row["summary"]) for row in components]
    console.say(console.table(("kind", "use", "plugin", "what it is"), shown))
    if unusable := [status for status in found.status if status.status != "ok"]:
        rows = [(s.name, s.status, f"{s.reason}; {s.mend}" if s.mend else s.reason) for s in unusable]
        console.say(console.table(("plugin", "status", "why, and what to do"), rows, title="not loaded"))
    console.say(console.dim("vlc show-plugin NAME shows a component's options, or what a plugin offers."))


def _components(found: Plugins) -> list[Row]:
    entries = found.registry.entries()
    versions = {status.name: status.version for status in found.status}
    offers = Counter((entry.kind, entry.name) for entry in entries)
    rows = []
    for entry in entries:
        # Every plugin has its presets called alike, by scale: those are asked for by their long names.
        alone = entry.kind == "recipe" or offers[entry.kind, entry.name] == 1
        reason = "" if alone else f"another plugin offers this name too: write {entry.long_name}"
        rows.append(
            {
                "kind": entry.kind,
                "name": entry.name,
                "plugin": entry.plugin,
                "version": versions[entry.plugin],
                "summary": entry.summary,
                "source": entry.source,
                "status": "ok" if alone else "conflict",
                "reason": reason,
            }
        )
    return rows


def _other_plugins(found: Plugins) -> list[Row]:
    """Plugins without a component: those that failed, and those that only watch runs or add commands."""
    speaking = {entry.plugin for entry in found.registry.entries()}
    return [_plugin_row(status) for status in found.status if status.name not in speaking]


def _plugin_row(status: PluginStatus) -> Row:
    return {
        "kind": "plugin",
        "name": status.name,
        "plugin": status.name,
        "version": status.version,
        "summary": "",
        "source": "",
        "status": status.status,
        "reason": f"{status.reason}; {status.mend}" if status.mend else status.reason,
    }


def _usable_name(row: Row) -> str:
    """What a recipe writes after ``use:``."""
    short = row["status"] == "ok" and row["kind"] != "recipe"
    return row["name"] if short else f"{row['plugin']}/{row['name']}"
