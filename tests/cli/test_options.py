"""The arguments and options of every command. They are promises: a change here breaks somebody's script."""

from __future__ import annotations

import inspect

import pytest

from vlc_cli.commands import COMMANDS, Group
from vlc_cli.main import application, load_command, run

PINNED = {
    "train": ["RECIPE", "--set", "--resume", "--allow-changes", "--devices", "--restarts", "--debug"],
    "eval": ["RUN", "--with", "--against", "--set", "--json", "--debug"],
    "export": ["RUN", "--output", "--to", "--part", "--json", "--debug"],
    "check": ["RECIPE", "--set", "--devices", "--on", "--json", "--debug"],
    "init": ["METHOD", "--output", "--debug"],
    "list-plugins": ["--json", "--debug"],
    "show-plugin": ["NAME", "--json", "--debug"],
    "tokenizer train": [
        "SOURCE",
        "--kind",
        "--size",
        "--min-count",
        "--keep-case",
        "--output",
        "--overwrite",
        "--set",
        "--json",
        "--debug",
    ],
    "schema": ["--component", "--output", "--debug"],
    "doctor": ["--json", "--debug"],
}


ENTRIES = {
    f"{name} {below}" if below else name: command
    for name, entry in COMMANDS.items()
    for below, command in (entry.commands.items() if isinstance(entry, Group) else [("", entry)])
}


def command(name):
    found = application(name.split())
    for word in name.split():
        found = found.commands[word]
    return found


def test_the_commands_are_those_pinned_here_in_this_order():
    assert list(ENTRIES) == list(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_the_options_of_a_command_are_those_pinned_here(name):
    parameters = command(name).params
    found = [p.opts[0] if p.param_type_name == "option" else p.metavar for p in parameters]
    assert found == PINNED[name]


@pytest.mark.parametrize("name", PINNED)
def test_every_option_has_a_help_line(name):
    assert all(parameter.help for parameter in command(name).params)


@pytest.mark.parametrize("name", PINNED)
def test_the_line_in_the_list_is_the_first_of_the_commands_docstring(name):
    assert inspect.getdoc(load_command(ENTRIES[name])).splitlines()[0] == ENTRIES[name].line


def test_help_lists_every_command(capsys):
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(entry.line in told for entry in COMMANDS.values())


@pytest.mark.parametrize("name", PINNED)
def test_help_of_a_command_succeeds_and_names_its_options(name, capsys):
    assert run([*name.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert all(option in told for option in PINNED[name])


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if isinstance(entry, Group)])
def test_a_group_alone_tells_its_commands(name, capsys):
    assert run([name]) == 2
    told = capsys.readouterr().out
    assert COMMANDS[name].line in told
    assert all(command.line in told for command in COMMANDS[name].commands.values())


def test_version_is_the_distributions(capsys):
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"vlc {version('vlc-core')}\n"
