"""A plain file with one text on each line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vlc_core.errors import DataError

SUFFIXES = (".txt", ".txt.gz")
_BLOCK = 1 << 20


def count_lines(path: Path) -> int:
    """How many lines the file has.

    Raises:
        DataError: It is missing or cannot be read.
    """
    ends, last = 0, b"\n"
    with _opened(path) as file:
        while block := file.read(_BLOCK):
            ends, last = ends + block.count(b"\n"), block[-1:]
    return ends + (last != b"\n")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of the file without their ends, UTF-8 with or without a byte order mark.

    Raises:
        DataError: It is missing, cannot be read, or is not UTF-8.
    """
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number} is not UTF-8 ({error.reason}); save the file as UTF-8."
                ) from error
            yield text.rstrip("\r\n")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    try:
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}; name a text file, a table, a recipe or a dataset.") from error
    except (OSError, EOFError) as error:
        raise DataError(f"Cannot read {path}: {error}; name a file that can be read.") from error
