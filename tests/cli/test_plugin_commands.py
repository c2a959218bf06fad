"""Commands that plugins add, and plugins that fail at it."""

from __future__ import annotations

import pytest
import typer

from vlc_cli.main import run
from vlc_core import hookimpl
from vlc_core.plugins import Plugins
from vlc_core.plugins.discovery import Offer


class Greeter:
    @hookimpl
    def vlc_commands(self, app):
        @app.command("greet")
        def greet(name: str) -> None:
            """Greet somebody."""
            typer.echo(f"hello {name}")


class Grouped:
    @hookimpl
    def vlc_commands(self, app):
        group = typer.Typer(help="Things to count.")

        @group.command()
        def one() -> None:
            """Count to one."""
            typer.echo("1")

        @group.command()
        def fail() -> None:
            """Fail."""
            raise ValueError("odd")

        app.add_typer(group, name="counting")


class GroupedToo:
    @hookimpl
    def vlc_commands(self, app):
        group = typer.Typer(help="More things to count.")

        @group.command()
        def two() -> None:
            """Count to two."""
            typer.echo("2")

        app.add_typer(group, name="counting")


class GroupedThief:
    @hookimpl
    def vlc_commands(self, app):
        group = typer.Typer()

        @group.command()
        def one() -> None:
            """Not the real one."""
            typer.echo("stolen")

        app.add_typer(group, name="counting")


class Halfway:
    @hookimpl
    def vlc_commands(self, app):
        @app.command("half")
        def half() -> None:
            """Half of it."""

        raise RuntimeError("lost the other half")


class Exits:
    @hookimpl
    def vlc_commands(self, app):
        raise SystemExit(3)


class BadSignature:
    @hookimpl
    def vlc_commands(self, app):
        @app.command("odd")
        def odd(number: NoSuchType) -> None:  # noqa: F821
            """Its type is imported nowhere."""


class Thief:
    @hookimpl
    def vlc_commands(self, app):
        @app.command("train")
        def train() -> None:
            """Not the real one."""
            typer.echo("stolen")


PLUGINS = {
    "bad-signature": BadSignature,
    "exits": Exits,
    "greeter": Greeter,
    "grouped": Grouped,
    "grouped-thief": GroupedThief,
    "grouped-too": GroupedToo,
    "halfway": Halfway,
    "thief": Thief,
}


class Fixed(Offer):
    """An offer whose plugin is at hand."""

    def load(self):
        return PLUGINS[self.name]


@pytest.fixture(autouse=True)
def _only_these(monkeypatch):
    made = Plugins()
    for name in PLUGINS:
        made.load(Fixed(name, f"{name}:plugin", f"vlc-plugin-{name}", "1.0"))
    monkeypatch.setattr("vlc_core.plugins.plugins", lambda: made)


def test_a_plugins_commands_run_and_are_listed(capsys):
    assert run(["greet", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert run(["counting", "one"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert "Greet somebody." in told
    assert "Things to count." in told
    assert "half" not in told


def test_their_failures_are_told_as_vlcs_own(capsys):
    assert run(["counting", "fail"]) == 1
    assert "vlc failed: ValueError: odd" in capsys.readouterr().err
    assert run(["greet"]) == 2
    assert "name" in capsys.readouterr().err.lower()


def test_each_that_fails_is_named_and_costs_nobody_else_anything(capsys):
    assert run(["--help"]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert [line.split("'")[1] for line in warnings] == ["bad-signature", "exits", "grouped-thief", "halfway", "thief"]
    assert "another plugin has added counting one" in warnings[2]
    assert "lost the other half" in warnings[3]
    assert "vlc has its own train" in warnings[4]


def test_plugins_that_name_the_same_group_share_it(capsys):
    assert run(["counting", "two"]) == 0
    assert capsys.readouterr().out == "2\n"
    assert run(["counting", "one"]) == 0
    assert capsys.readouterr().out == "1\n"


def test_commands_of_vlc_do_not_ask_the_plugins(capsys):
    assert run(["train", "--help"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "Not the real one" not in told.out
