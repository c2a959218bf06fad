"""Notices that a rank takes no step any more, and shows where it stands."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, final


@final
class Watchdog:
    """Waits in a thread of its own for steps that do not come; a context, within which it watches.

    Args:
        seconds: How long a step may take, its data included.
        expired: Called once whenever one takes longer, in the watching thread: the main one is stuck.
    """

    def __init__(self, seconds: float, expired: Callable[[], None]) -> None:
        self.seconds = seconds
        self._expired = expired
        self._due = float("inf")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self.fed()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def fed(self) -> None:
        """A step was taken."""
        self._due = time.monotonic() + self.seconds

    @contextmanager
    def away(self) -> Iterator[None]:
        """Does not watch what is no step and may take its time: an evaluation, a checkpoint."""
        self._due = float("inf")
        yield
        self.fed()

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self.seconds / 4)):
            if time.monotonic() > self._due:
                self._due = float("inf")
                self._expired()


def show_stacks(headline: str) -> None:
    """Writes ``headline`` and the stack of every thread to the process's own standard error, and has its workers do so.

    The workers are those of :class:`vlc_core.loading.loader.Loader`, which have been told to answer SIGUSR1.
    """
    if sys.__stderr__ is None:  # a process without a console has none
        return
    sys.__stderr__.write(headline + "\n")
    sys.__stderr__.flush()
    faulthandler.dump_traceback(sys.__stderr__)
    for worker in multiprocessing.active_children():
        if worker.pid is not None and _answers(worker.pid):
            sys.__stderr__.write(f"its data worker {worker.pid} stands here:\n")
            sys.__stderr__.flush()
            os.kill(worker.pid, signal.SIGUSR1)
            time.sleep(0.2)  # for what it writes to come before the next one's


def _answers(pid: int) -> bool:
    """Whether the process has a handler for SIGUSR1, which would otherwise end it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended, or this is no Linux
        return False
    caught = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(caught and int(caught[0], 16) >> (signal.SIGUSR1 - 1) & 1)
