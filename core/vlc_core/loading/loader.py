"""The batches of a run in order, made ahead of time by worker processes."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vlc_core.errors import DataError, VlcError
from vlc_core.interfaces.sampler import Int64Array

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader(Generic[T]):
    """Iterates over the batches of steps ``start_step`` … ``steps`` - 1 of one rank.

    Step t of rank r reads the samples numbered t·G + r·B … t·G + r·B + B - 1, where B is this rank's batch
    and G = world · B the whole batch. A worker makes a whole batch at a time and batches are handed out in
    order, so what is read depends neither on the number of workers nor on their speed.

    Attributes:
        make: Sample numbers to a batch, in training a :class:`vlc_core.loading.make.BatchMaker`.
        batch_size: B.
        steps: Of the whole run.
        start_step: The first step to read; the position of a resumed run.
        rank: r.
        world: The number of ranks.
        workers: Processes that make batches ahead; 0 makes them in this process, when they are asked for.
        pin: Whether batches are put into page-locked memory, for copies to a GPU.
        ahead: How many batches each worker makes ahead.
        setting: What users call ``workers``, for messages.
    """

    make: Callable[[Int64Array], T]
    batch_size: int
    steps: int
    start_step: int = 0
    rank: int = 0
    world: int = 1
    workers: int = 0
    pin: bool = False
    ahead: int = 2
    setting: str = "data.workers"

    def __len__(self) -> int:
        return max(0, self.steps - self.start_step)

    def __iter__(self) -> Generator[T, None, None]:
        """Workers start here, live as long as the iteration, and end with it.

        Raises:
            DataError: A slot of a batch could not be filled, or a worker process died.
        """
        with _own_signal_handlers(), warnings.catch_warnings():
            # A recipe moves between machines; how many cores this one has is not worth a warning in each run.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            batches = iter(self._data_loader())
        try:
            for _ in range(len(self)):
                made: T = _unwrap(self._next(batches))
                yield made
        finally:
            del batches  # its finaliser stops the workers

    def _data_loader(self) -> DataLoader[Any]:
        workers = min(self.workers, len(self))
        return DataLoader(
            _Steps(self),
            sampler=range(self.start_step, self.steps),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=workers,
            prefetch_factor=self.ahead if workers else None,
            worker_init_fn=_at_start,
            pin_memory=self.pin,
        )

    def _next(self, batches: Iterator[T | _Failure]) -> T | _Failure:
        try:
            return next(batches)
        except (RuntimeError, ConnectionError, EOFError) as error:
            if not _is_a_death(error):
                raise
            raise DataError(_WORKER_DIED.format(self.setting, self.workers)) from error


def _is_a_death(error: Exception) -> bool:
    """Whether a worker is gone: torch says so, or nobody is left to hand over the memory of a batch."""
    return not isinstance(error, RuntimeError) or "DataLoader worker (pid" in str(error)


_WORKER_DIED = (
    "A data worker process died, most likely killed for want of memory (RAM, or shared memory in /dev/shm): "
    "lower {}, which is {}, or the batch size, or give the machine or container more memory."
)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error on its way out of a worker process, in which torch would bury its sentence in a traceback."""

    error: VlcError


class _Steps(Dataset[T | _Failure]):
    """The batches of a rank by step."""

    def __init__(self, loader: Loader[T]) -> None:
        self.loader = loader

    def __getitem__(self, step: int) -> T | _Failure:
        loader = self.loader
        first = (step * loader.world + loader.rank) * loader.batch_size
        try:
            return loader.make(np.arange(first, first + loader.batch_size, dtype=np.int64))
        except VlcError as error:
            return _Failure(error)


def _unwrap(item: T | _Failure) -> T:
    if isinstance(item, _Failure):
        raise item.error
    return item


def _as_it_is(item: Any) -> Any:
    return item


def _at_start(worker: int) -> None:
    torch.set_num_threads(1)
    if sys.__stderr__ is not None:  # so that it can be asked where it stands
        faulthandler.register(signal.SIGUSR1, file=sys.__stderr__)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        asked = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, asked)
        threading.Thread(target=_obey_the_run_alone, args=(asked,), daemon=True).start()


def _obey_the_run_alone(asked: set[signal.Signals]) -> None:
    """Ends this process when its parent asks for it, and lets pass what others ask.

    A terminal and most schedulers send a signal to all processes of a run, which needs its workers to finish the step
    that it is in, and ends them itself.
    """
    while signal.sigwaitinfo(asked).si_pid != os.getppid():
        continue
    os._exit(0)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Keeps torch from answering a worker's death with an error in the middle of whatever the run is doing.

    The death is seen within seconds anyway, when the next batch is asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if before is not None:  # None: set by something other than Python, which could not be put back
            signal.signal(signal.SIGCHLD, before)
