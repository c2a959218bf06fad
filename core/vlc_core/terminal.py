"""What the terminal is written with: plain tables, emphasis where it shows, and numbers as people read them.

The commands of vlc and those of plugins print through this file; rich is imported where something moves.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

GAP = "   "
NARROWEST = 20


def say(text: str = "") -> None:
    """Prints to stdout, at once."""
    print(text, flush=True)  # noqa: T201


def say_json(value: object) -> None:
    """Prints ``value`` as JSON to stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def bold(text: str) -> str:
    """``text`` in bold where stdout shows that."""
    return f"\x1b[1m{text}\x1b[0m" if _is_rich(sys.stdout.isatty()) else text


def dim(text: str) -> str:
    """``text`` set back where stdout shows that."""
    return f"\x1b[2m{text}\x1b[0m" if _is_rich(sys.stdout.isatty()) else text


def alarm(head: str) -> str:
    """The head of a message in red where stderr shows that."""
    return f"\x1b[1;31m{head}\x1b[0m" if _is_rich(sys.stderr.isatty()) else head


def _is_rich(terminal: bool) -> bool:
    return terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", right: Sequence[str] = ()) -> str:
    """A table with a head and a rule, ready to be printed.

    On a terminal the last column is wrapped to its width; elsewhere every row is one line, for grep.

    Args:
        columns: The heads.
        rows: The cells.
        title: Stands above it.
        right: The columns that stand against their right edge.
    """
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    if sys.stdout.isatty():
        before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(NARROWEST, shutil.get_terminal_size().columns - before))
    flush_right = [column in right for column in columns]
    laid = [part for line in lines[1:] for part in _lay(line, widths, flush_right)]
    head, *more = _lay(lines[0], widths, flush_right)
    rule = dim(GAP.join("─" * width for width in widths))
    return "\n".join([*([bold(title)] if title else []), bold(head), *map(bold, more), rule, *laid]) + "\n"


def _lay(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    """One row as lines of text: as many as its last cell needs."""
    wrapped = textwrap.wrap(cells[-1], max(1, widths[-1])) or [""]
    for number, last in enumerate(wrapped):
        parts = [*(cells[:-1] if number == 0 else [""] * (len(cells) - 1)), last]
        padded = [
            part.rjust(width) if flush else part.ljust(width)
            for part, width, flush in zip(parts, widths, right, strict=True)
        ]
        yield GAP.join(padded).rstrip()


def listing(lines: Mapping[str, str]) -> str:
    """Names and what is to be said of each, below one another."""
    width = max(map(len, lines), default=0)
    return "\n".join(f"{dim(name.ljust(width))}  {text}" for name, text in lines.items()) + "\n"


class Notice:
    """A line on a terminal that goes away again."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, text: str) -> None:
        """Prints ``text`` without ending the line; nothing where stdout is no terminal."""
        if _is_rich(sys.stdout.isatty()):
            print(dim(text), end="", flush=True)  # noqa: T201
            self._shown = True

    def clear(self) -> None:
        """Takes the line away, if it is there."""
        if self._shown:
            print("\r\x1b[2K", end="", flush=True)  # noqa: T201
            self._shown = False


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Shows ``text`` and a sign of life on stderr, if that is a terminal, for as long as something takes."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(text)):
        yield


def count(number: float) -> str:
    """A count as people read it: ``51,200``, ``3.4 M``, ``1.2 G``."""
    for unit, size in (("G", 1e9), ("M", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """``4 s``, ``1:05 min``, ``2:03:20 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of ``names``, and whether there are more."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
