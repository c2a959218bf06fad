"""The commands of ``vlc``: a file each, imported when the command is called."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is, and its line in ``vlc --help``, which is the first of its docstring."""

    target: str
    line: str


COMMANDS: dict[str, Command] = {
    "train": Command("train:train", "Train a model as a recipe says."),
    "eval": Command("eval:evaluate", "Measure a trained model."),
    "check": Command("check:check", "Validate a recipe completely and train nothing."),
    "list-plugins": Command("list_plugins:list_plugins", "List what the installed plugins offer to recipes."),
    "show-plugin": Command("show_plugin:show_plugin", "Show what a plugin offers, or a component's options."),
}
"""In the order in which ``vlc --help`` lists them."""
