"""How far something is: a bar at the foot of a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, Self, TextIO, TypeVar

from vlc_core.terminal import duration

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_REDRAWS = 0.1
PATIENCE = 1.0
"""Seconds before :class:`Tracker` shows anything: what is done by then needs no bar."""

_WHOLE = 10

T = TypeVar("T")


class Display(Protocol):
    """Where the state of something long is shown."""

    def show(self, done: int, total: int, words: str) -> None: ...

    def close(self) -> None: ...


class Bar:
    """A bar at the foot of a terminal; lines printed meanwhile appear above it.

    It is redrawn by those who show, not by a thread of its own: worker processes are forked from this one.
    """

    def __init__(self, what: str, total: int, *, done: int = 0, words: str = "", stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn(f"[bold]{escape(what)}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[words]}"),
        )
        console = Console(file=stream) if stream is not None else None
        self._progress: Progress = Progress(*columns, console=console, auto_refresh=False, expand=True)
        self._task = self._progress.add_task("", total=total, completed=done, words=words)
        self._redrawn = 0.0
        self._progress.start()
        self._progress.refresh()

    def show(self, done: int, total: int, words: str) -> None:
        self._progress.update(self._task, completed=done, words=words)
        if done == total or time.monotonic() - self._redrawn >= SECONDS_BETWEEN_REDRAWS:
            self._progress.refresh()
            self._redrawn = time.monotonic()

    def close(self) -> None:
        self._progress.refresh()
        self._progress.stop()


class Lines:
    """A line now and then, for logs."""

    def __init__(
        self, what: str = "step", *, every: float = SECONDS_BETWEEN_LINES, stream: TextIO | None = None
    ) -> None:
        self._what = what
        self._every = every
        self._stream = stream
        self._printed = float("-inf")

    def show(self, done: int, total: int, words: str) -> None:
        if done == total or time.monotonic() - self._printed >= self._every:
            print(f"{self._what} {done:,}/{total:,} · {words}", file=self._stream or sys.stdout, flush=True)
            self._printed = time.monotonic()

    def close(self) -> None:
        return


def moves(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal on which a bar can be drawn again and again."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Tracker:
    """Shows on stderr how much of something is done and what time is left; stdout stays free for results.

    Nothing is shown of what is over within a second. Where stderr is no terminal, there is a line every ten seconds.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._display: Display | None = None

    def __call__(self, done: int, total: int) -> None:
        """Says that ``done`` of ``total`` are done."""
        now = time.monotonic()
        if self._first is None:
            # The first one waits for all that is imported and opened on first use: it says nothing of the others.
            self._first = (done, now)
        elif now - self._started >= PATIENCE:
            rate = (done - self._first[0]) / max(now - self._first[1], 1e-9)
            left = f" · {duration((total - done) / rate)} left" if rate > 0 else ""
            self._shown(total).show(done, total, f"{_number(rate)}/s{left}")

    def _shown(self, total: int) -> Display:
        if self._display is None:
            bar = moves(sys.stderr)
            self._display = Bar(self._what, total, stream=sys.stderr) if bar else Lines(self._what, stream=sys.stderr)
        return self._display

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._display is not None:
            self._display.close()


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE else f"{rate:.2g}"


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The ``items``, of which there are ``total``, while a :class:`Tracker` shows how many have been taken."""
    with Tracker(what) as tracker:
        for done, item in enumerate(items, start=1):
            yield item
            tracker(done, total)
