"""The commands of ``vlc``: a file each, imported when the command is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is, and its line in ``vlc --help``, which is the first of its docstring."""

    target: str
    line: str


class Group(NamedTuple):
    """Commands under one word, as in ``vlc tokenizer train``, and the word's line in ``vlc --help``."""

    line: str
    commands: Mapping[str, Command]


COMMANDS: dict[str, Command | Group] = {
    "train": Command("train:train", "Train a model as a recipe says."),
    "eval": Command("eval:evaluate", "Measure a trained model."),
    "export": Command("export:export", "Write a run's encoders for another library."),
    "check": Command("check:check", "Validate a recipe completely and train nothing."),
    "init": Command("init:init", "Write a commented first recipe for a method."),
    "list-plugins": Command("list_plugins:list_plugins", "List what the installed plugins offer to recipes."),
    "show-plugin": Command("show_plugin:show_plugin", "Show what a plugin offers, or a component's options."),
    "tokenizer": Group(
        "Make a tokenizer of a run's captions, or of any texts.",
        {"train": Command("tokenizer:train", "Train a tokenizer on captions.")},
    ),
    "schema": Command("schema:schema", "Print the JSON schema of recipes, for editors."),
    "doctor": Command("doctor:doctor", "Examine this machine: can it train, and is it slow?"),
}
"""In the order in which ``vlc --help`` lists them."""
