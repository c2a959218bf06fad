"""Which samples are looked at, and the looking itself, in this process or in several."""

from __future__ import annotations

import multiprocessing
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from vlc_core import DataError, Dataset
from vlc_core.errors import RecipeError

CHUNK = 64
AHEAD = 4
"""Chunks in flight for each worker: results come in order, and memory does not grow with the data."""

T = TypeVar("T")
Look = Callable[[Dataset, int], T]

_work: tuple[Dataset, Look[object]] | None = None


def choose(count: int, *, limit: int | None = None, sample: int | None = None, seed: int = 0) -> Sequence[int]:
    """The indices to look at, ascending: the first ``limit``, ``sample`` drawn by ``seed``, or all of ``count``.

    Raises:
        RecipeError: Both are given.
    """
    if limit is not None and sample is not None:
        raise RecipeError("--limit takes the first samples and --sample draws some: give one of them")
    if limit is not None:
        return range(min(limit, count))
    if sample is not None and sample < count:
        return sorted(random.Random(seed).sample(range(count), sample))
    return range(count)


def walk(dataset: Dataset, indices: Sequence[int], look: Look[T], *, workers: int = 0) -> Iterator[T]:
    """What ``look`` says of each sample, in the order of ``indices`` however many ``workers`` there are.

    Raises:
        DataError: A worker process died.
    """
    if workers <= 0 or len(indices) <= CHUNK:
        yield from (look(dataset, index) for index in indices)
        return
    try:
        with _pool(dataset, look, workers) as pool:
            yield from _in_order(pool, indices, workers * AHEAD)
    except BrokenProcessPool as error:
        raise DataError("a worker process died, for want of memory perhaps: try fewer --workers") from error


def _pool(dataset: Dataset, look: Look[T], workers: int) -> ProcessPoolExecutor:
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(dataset, look))


def _in_order(pool: ProcessPoolExecutor, indices: Sequence[int], ahead: int) -> Iterator[T]:
    chunks = (list(indices[start : start + CHUNK]) for start in range(0, len(indices), CHUNK))
    waiting: deque[Future[list[T]]] = deque(pool.submit(_look_at, chunk) for chunk in islice(chunks, ahead))
    try:
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(_look_at, chunk) for chunk in islice(chunks, 1))
            yield from done
    finally:
        for future in waiting:
            future.cancel()


def _start(dataset: Dataset, look: Look[object]) -> None:
    global _work
    _work = (dataset, look)


def _look_at(indices: list[int]) -> list[T]:
    assert _work is not None
    dataset, look = _work
    return [look(dataset, index) for index in indices]  # type: ignore[misc]
