"""The entry point of ``vlc``: the command line is put together, run, and every failure told in a sentence.

Nothing here or at the top of a command's file imports torch: ``--help`` and mistyped names answer at once.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_group

from vlc_cli import failures, options
from vlc_cli.commands import COMMANDS, Command, Group
from vlc_cli.plugin_commands import plugin_commands
from vlc_cli.startup import QuickCommand, QuickGroup

EPILOG = "Documentation and examples are in README.md and docs/ of the source."


def main() -> NoReturn:
    """Runs the command line of this process and exits with its code."""
    # Threads that wait by spinning hold the cores that the others need: beside any other work on the machine a
    # training step took thirty times as long. OpenMP reads this once, when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without "·" is no reason to fail
    code = run(sys.argv[1:])
    if "RANK" in os.environ or "SLURM_PROCID" in os.environ:
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    """Ends a rank without Python's own end, in which gloo's threads sometimes meet a group that is gone and abort."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Runs ``vlc`` with ``argv``, tells what went wrong on stderr, and returns the exit code."""
    failures.show_tracebacks(on=False)
    try:
        command = application(argv)
        code = command.main(args=list(argv), prog_name="vlc", standalone_mode=False, obj=list(argv))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return failures.report(error)
    return code if isinstance(code, int) else 0


def application(argv: Sequence[str]) -> TyperGroup:
    """The command line as ``argv`` needs it: the command that is called, or the names of all."""
    app = typer.Typer(
        name="vlc",
        cls=QuickGroup,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
    )
    app.callback()(vlc)
    called = next((argument for argument in argv if not argument.startswith("-")), None)
    if called in COMMANDS:
        _add(app, called, COMMANDS[called])
        return get_group(app)
    for name, command in COMMANDS.items():
        app.command(name, cls=QuickCommand, help=command.line)(_listed)
    group = get_group(app)
    group.commands.update(plugin_commands(COMMANDS))
    return group


def _add(app: typer.Typer, name: str, entry: Command | Group) -> None:
    if isinstance(entry, Command):
        app.command(name, cls=QuickCommand)(load_command(entry))
        return
    group = typer.Typer(name=name, help=entry.line, cls=QuickGroup, no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_listed)  # makes a group of it, however few commands it has
    for below, command in entry.commands.items():
        group.command(below, cls=QuickCommand)(load_command(command))
    app.add_typer(group)


def load_command(command: Command) -> Callable[..., None]:
    """Imports a command's file; its signature is the command's."""
    module, _, function = command.target.partition(":")
    loaded: Callable[..., None] = getattr(import_module(f"vlc_cli.commands.{module}"), function)
    return loaded


def _listed() -> None:
    """Stands for a command where only its line in the help is wanted."""


def vlc(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=options.print_version, is_eager=True),
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Pre-train vision-language encoders by contrastive learning: one YAML recipe, plugins, DeepSpeed."""
