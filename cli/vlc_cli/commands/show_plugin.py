"""``vlc show-plugin``: a plugin's components, or a component's options as its own signature gives them."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlc_core.options import OptionInfo
    from vlc_core.plugins import Plugins, PluginStatus
    from vlc_core.registry import Entry


def show_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A plugin, or a component by its short or long name.")],
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show what a plugin offers, or a component's options."""
    from vlc_cli import console
    from vlc_core.plugins import plugins

    found = plugins()
    statuses = [status for status in found.status if status.name == name]
    entries = [entry for entry in found.registry.entries() if name in (entry.name, entry.long_name)]
    if not statuses and not entries:
        _refuse(name, found)
    if json:
        console.say_json(
            {
                "plugins": [_plugin_json(status, found) for status in statuses],
                "components": [_component_json(entry) for entry in entries],
            }
        )
        return
    for status in statuses:
        _print_plugin(status, found)
    for entry in entries:
        _print_component(entry)


def _refuse(name: str, found: Plugins) -> None:
    from vlc_core.errors import UnknownComponent
    from vlc_core.nearest import did_you_mean

    entries = found.registry.entries()
    known = {status.name for status in found.status} | {entry.name for entry in entries}
    if "/" in name:
        known |= {entry.long_name for entry in entries}
    hint = did_you_mean(name, known)
    raise UnknownComponent(f"no plugin or component is called {name!r}{hint or '; vlc list-plugins lists them all'}")


def _print_plugin(status: PluginStatus, found: Plugins) -> None:
    from vlc_cli import console

    state = "" if status.status == "ok" else f" · {status.status}: {status.reason}; {status.mend}"
    head = f"plugin {status.name} · {status.distribution} {status.version}{state}"
    console.say(console.bold(head))
    if status.details:
        console.say(status.details)
    console.say()
    if rows := [(e.kind.replace("_", " "), e.name, e.summary) for e in _offered(status, found)]:
        console.say(console.table(("kind", "name", "what it is"), rows))


def _print_component(entry: Entry) -> None:
    from vlc_cli import console
    from vlc_core.options import describe
    from vlc_core.recipe.beside import keys_beside_options

    head = f"{entry.kind.replace('_', ' ')} {entry.long_name}"
    console.say(console.bold(head))
    for line in (entry.summary, entry.source and f"Source: {entry.source}"):
        if line:
            console.say(line)
    console.say()
    loaded = entry.load()
    if entry.kind == "prompts":
        console.say("\n".join([*(f"  {template}" for template in loaded), ""]))
    elif entry.kind == "recipe":
        console.say(loaded.read_text(encoding="utf-8"))
    else:
        _print_options("option", describe(loaded))
        _print_options("recipe's own key", keys_beside_options(entry.kind))


def _print_options(head: str, described: Sequence[OptionInfo]) -> None:
    from vlc_cli import console

    if not described and head == "option":
        console.say("It has no options.\n")
    if not described:
        return
    rows = [
        (o.name, o.type, "required" if o.required else _as_yaml(o.default), o.description.replace("``", "`"))
        for o in described
    ]
    console.say(console.table((head, "type", "default", "what it is"), rows))


def _as_yaml(value: Any) -> str:
    """A default as a recipe would write it."""
    try:
        return value if isinstance(value, str) and value else json_module.dumps(value)
    except TypeError:
        return str(value)


def _plugin_json(status: PluginStatus, found: Plugins) -> dict[str, Any]:
    return {
        "name": status.name,
        "distribution": status.distribution,
        "version": status.version,
        "status": status.status,
        "reason": status.reason,
        "mend": status.mend,
        "components": [{"kind": e.kind, "name": e.name, "summary": e.summary} for e in _offered(status, found)],
    }


def _component_json(entry: Entry) -> dict[str, Any]:
    shown = {
        "kind": entry.kind,
        "name": entry.name,
        "plugin": entry.plugin,
        "summary": entry.summary,
        "source": entry.source,
    }
    loaded = entry.load()
    if entry.kind == "prompts":
        return {**shown, "templates": list(loaded)}
    if entry.kind == "recipe":
        return {**shown, "path": str(loaded)}
    from vlc_core.options import options_model
    from vlc_core.recipe.beside import keys_beside_options

    keys = [{"name": key.name, "type": key.type, "what": key.description} for key in keys_beside_options(entry.kind)]
    return {**shown, "options": options_model(loaded).model_json_schema(), "recipe_keys": keys}


def _offered(status: PluginStatus, found: Plugins) -> list[Entry]:
    return [entry for entry in found.registry.entries() if entry.plugin == status.name and status.status == "ok"]
