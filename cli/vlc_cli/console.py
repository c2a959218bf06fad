"""What the terminal is written with: one console for each stream, tables, and numbers as people read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


@cache
def stdout() -> Console:
    """The console of stdout: colours on a terminal only."""
    return _console(sys.stdout.isatty(), stderr=False)


@cache
def stderr() -> Console:
    """The console of stderr."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, *, stderr: bool) -> Console:
    from rich.console import Console

    # Rich takes whatever is no terminal for 80 columns wide, and would fold tables that go to a file or to grep.
    width = None if terminal or "COLUMNS" in os.environ else 140
    return Console(stderr=stderr, highlight=False, width=width)


def say(text: RenderableType = "") -> None:
    """Prints to stdout. Text may carry rich's markup, and its lines are left to the terminal to wrap."""
    stdout().print(text, soft_wrap=isinstance(text, str))


def say_json(value: object) -> None:
    """Prints ``value`` as JSON to stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", right: Sequence[str] = ()) -> Table:
    """A table with a head and no other lines.

    Args:
        columns: The heads.
        rows: Cells as plain text. Only those of the last column are wrapped where the terminal is narrow.
        title: Printed above it.
        right: The columns that stand against their right edge.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(
            column,
            header_style="bold",
            no_wrap=index < len(columns) - 1,
            overflow="fold",
            justify="right" if column in right else "left",
        )
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


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


def metric_rows(values: Mapping[str, float]) -> list[tuple[str, str]]:
    """The metrics of an evaluation for people: shares in percent, ranks and other numbers as they are."""
    return [(name.replace("_", " "), _metric(name, value)) for name, value in values.items()]


def metric_line(values: Mapping[str, float]) -> str:
    """The metrics of an evaluation on a line."""
    return plain(" · ".join(f"{name} {value}" for name, value in metric_rows(values)))


def _metric(name: str, value: float) -> str:
    is_share = 0 <= value <= 1 and "rank" not in name
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def plain(text: str) -> str:
    """``text`` with nothing in it that rich takes for markup."""
    from rich.markup import escape

    return escape(text)
