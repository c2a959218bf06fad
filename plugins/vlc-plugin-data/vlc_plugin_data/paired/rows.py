"""Rows of image, sentence and class in Arrow's memory, and the files that they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlc_core import DataError
from vlc_core.batch import UNLABELLED
from vlc_plugin_data.captioned.images import text_of
from vlc_plugin_data.stores import read


class Row(NamedTuple):
    """An image's path, a sentence about it, and its class; for two images the path of the second."""

    image: str
    text: str
    label: int = UNLABELLED
    second: str = ""


class Rows:
    """Rows, shared between processes that fork."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._images, self._texts, self._seconds = (
            pa.array([row[column] for row in rows], pa.large_string()) for column in (0, 1, 3)
        )
        self.labels: NDArray[np.int64] = np.array([row.label for row in rows], np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Row:
        image, text, second = (column[index].as_py() for column in (self._images, self._texts, self._seconds))
        return Row(image, text, int(self.labels[index]), second)

    def text(self, index: int) -> str:
        """The sentence alone."""
        found: str = self._texts[index].as_py()
        return found


def lines_of(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, each with what messages call its place.

    Raises:
        DataError: The file is missing or a line is no JSON object; the message names file and line.
    """
    for number, line in enumerate(content(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}, is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise DataError(f"{path}, line {number}, is no JSON object: is it another kind of file?")
        yield f"{path}, line {number}", found


def content(path: str) -> str:
    """A text file.

    Raises:
        DataError: It is missing or no UTF-8.
    """
    try:
        return read(path).decode("utf-8-sig")
    except DataError as error:
        raise DataError(f"{path}: {error}: check the option `path`") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error


def field_of(row: dict[str, Any], place: str, *names: str) -> str:
    """The first of ``names`` that a row has, on one line.

    Raises:
        DataError: It has none of them.
    """
    for name in names:
        if row.get(name) is not None:
            value = row[name]
            return text_of(value if isinstance(value, str) else str(value))
    raise DataError(
        f"{place}: there is no {' or '.join(map(repr, names))}; it has {', '.join(map(str, row)) or 'nothing'}"
    )
