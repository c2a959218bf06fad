"""How a command fails: a sentence on stderr and an exit code, and a traceback only where it was asked for."""

from __future__ import annotations

import os
import sys
import traceback

from vlc_cli import console
from vlc_core.errors import RecipeError, VlcError

FAILED = 1
INTERRUPTED = 130

_tracebacks = False


def show_tracebacks(*, on: bool = True) -> None:
    """Whether :func:`report` prints the traceback of what it reports, as ``--debug`` asks."""
    global _tracebacks
    _tracebacks = on


def report(error: Exception) -> int:
    """Tells on stderr what went wrong, and returns the exit code that belongs to it."""
    if _tracebacks:
        traceback.print_exception(error)
    if isinstance(error, VlcError):
        # Every rank reads the same recipe and finds the same fault: one of them tells it.
        if not (isinstance(error, RecipeError) and rank() > 0):
            _print_error(str(error))
        return error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":
        console.say(str(error))
        return RecipeError.exit_code
    if usage := _usage_sentence(error):
        _print_error(usage)
        return RecipeError.exit_code
    if type(error).__name__ == "Abort":
        _print_error("aborted")
        return FAILED
    hint = "" if _tracebacks else " — `vlc --debug …` shows the traceback"
    _print_error(f"vlc failed: {summary(error)}{hint}")
    return FAILED


def warn(sentence: str) -> None:
    """Prints a warning on stderr."""
    _print("warning: ", sentence)


def summary(error: BaseException) -> str:
    """``error`` on one line: its class and the first line of what it says."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0]}" if lines else name


def rank() -> int:
    """The rank of this process as its launcher numbers it; 0 without one."""
    for name in ("RANK", "SLURM_PROCID"):
        if (value := os.environ.get(name, "")).isdigit():
            return int(value)
    return 0


def _usage_sentence(error: Exception) -> str | None:
    """What is wrong with the command line, where that is what ``error`` is about.

    The class of such errors moved between packages from release to release of typer; what they offer has not.
    """
    tell = getattr(error, "format_message", None)
    if tell is None or not (sentence := tell().strip()):
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vlc"
    return f"{sentence.rstrip('.')} — see {path} --help"


def _print_error(text: str) -> None:
    head = "error: " if rank() == 0 else f"error on rank {rank()}: "
    for line in text.splitlines():
        _print(head, line)


def _print(head: str, line: str) -> None:
    print(f"{console.alarm(head)}{line}", file=sys.stderr, flush=True)  # noqa: T201
