"""The arguments and options of every command. They are promises: a change here breaks somebody's script."""

from __future__ import annotations

import pytest
from typer.main import get_command
from vlc_cli.main import application, run

PINNED = {
    "train": ["RECIPE", "--set", "--resume", "--allow-changes", "--devices", "--debug"],
    "eval": ["RUN", "--with", "--set", "--json", "--debug"],
    "check": ["RECIPE", "--set", "--json", "--debug"],
    "list-plugins": ["--json", "--debug"],
    "show-plugin": ["NAME", "--json", "--debug"],
}


def commands():
    return get_command(application(["train"])).commands


def test_the_commands_are_those_pinned_here_in_this_order():
    assert list(commands()) == list(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_the_options_of_a_command_are_those_pinned_here(name):
    found = []
    for parameter in commands()[name].params:
        found.append(parameter.opts[0] if parameter.param_type_name == "option" else parameter.make_metavar_name())
    assert found == PINNED[name]


@pytest.mark.parametrize("name", PINNED)
def test_every_command_and_option_has_a_help_line(name):
    command = commands()[name]
    assert command.help
    assert all(parameter.help for parameter in command.params)


@pytest.mark.parametrize("name", PINNED)
def test_help_of_a_command_succeeds_and_names_its_options(name, capsys):
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert all(option in told for option in PINNED[name])


def test_version_is_the_distributions(capsys):
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"vlc {version('vlc-core')}\n"
