"""Work that one rank does for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vlc_core import distributed

T = TypeVar("T")


def once(work: Callable[[], T]) -> T:
    """What ``work`` returns on the first rank, on every rank; what it raises there is raised everywhere.

    Without the second half the other ranks would wait for an answer that never comes.

    Args:
        work: Gives a value that can be pickled; it is called on the first rank alone and must exchange nothing.
    """
    answer: tuple[T | None, Exception | None] = (None, None)
    if distributed.rank() == 0:
        try:
            answer = (work(), None)
        except Exception as error:
            answer = (None, error)
    result, failure = distributed.broadcast_object(answer)
    if failure is not None:
        raise failure
    return result  # type: ignore[return-value]
