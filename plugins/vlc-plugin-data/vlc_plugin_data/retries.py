"""Asking again after a fault that passes: a connection that breaks, a store that is overloaded."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from vlc_core.errors import StorageError

T = TypeVar("T")

_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EINTR", "EIO"),
        *("ENETDOWN", "ENETRESET", "ENETUNREACH", "EPIPE", "ESTALE", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
_PASSING_STATUS = frozenset((408, 425, 429, 500, 502, 503, 504))
# Packages that speak to stores, whose exceptions without a status tell of a connection that broke.
_CLIENTS = frozenset(("aiohttp", "botocore", "aiobotocore", "gcsfs", "http", "httpx", "requests", "urllib3"))


class ShortRead(ConnectionError):
    """A store handed over fewer bytes than were asked for, and than it says it has."""


class Patience(NamedTuple):
    """How long a store is asked again.

    Attributes:
        attempts: In all.
        first: Seconds before the second attempt; each later pause is twice as long, and all are cut at random by up
            to a half, so that many processes do not come back at once.
        longest: No pause is longer, in seconds.
    """

    attempts: int = 8
    first: float = 0.2
    longest: float = 10.0

    def pauses(self) -> Iterator[float]:
        """Seconds to wait before each attempt after the first."""
        for attempt in range(self.attempts - 1):
            yield min(self.first * 2**attempt, self.longest) * random.uniform(0.5, 1.0)


PATIENCE = Patience()


def patiently(operation: Callable[[], T], what: str, *, patience: Patience | None = None) -> T:
    """The result of ``operation``, tried again after faults that may pass.

    A store that stays down ends the run rather than costing samples: what is trained on would otherwise depend on
    the weather of a network.

    Args:
        operation: May be run several times.
        what: What it reads, for the message.
        patience: How often and how slowly; :data:`PATIENCE` if not given.

    Raises:
        StorageError: The faults did not pass.
        Exception: Any other of the operation's own, at once: a file that is not there will not be there in a second.
            What a client package raises on its own becomes an OSError.
    """
    patience = patience or PATIENCE
    began = time.monotonic()
    pauses = patience.pauses()
    while True:
        try:
            return operation()
        except Exception as error:
            if not passes(error):
                raise _plain(error) from error.__cause__
            pause = next(pauses, None)
            if pause is None:
                raise StorageError(_down(what, patience.attempts, time.monotonic() - began, error)) from error
        time.sleep(pause)


def _plain(error: Exception) -> Exception:
    """An error of a client package as one that callers know."""
    return OSError(str(error)) if _of_a_client(error) and not isinstance(error, OSError) else error


def passes(error: BaseException) -> bool:
    """Whether asking again may help after ``error``."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return passes(error.__cause__)  # fsspec's HTTP calls whatever went wrong a missing file
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    status = _status(error)
    if status is not None:
        return status in _PASSING_STATUS
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _PASSING
    return _of_a_client(error)


def _of_a_client(error: BaseException) -> bool:
    return any(kind.__module__.partition(".")[0] in _CLIENTS for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception of a client package carries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return _number(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for holder in (error, response):
        for name in ("status", "status_code", "code"):
            found = _number(getattr(holder, name, None))
            if found is not None:
                return found
    return None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() and 100 <= int(value) < 600 else None


def _down(what: str, attempts: int, seconds: float, error: BaseException) -> str:
    return (
        f"{what} could not be read in {attempts} attempts over {seconds:.0f} s, the last time because of "
        f"{str(error) or type(error).__name__!r}: see whether its store is up, then go on from the last checkpoint "
        f"with --resume"
    )
