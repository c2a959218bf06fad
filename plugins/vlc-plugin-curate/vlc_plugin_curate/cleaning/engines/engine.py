"""What the rules ask of an engine beyond what every ibis backend does alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

FIRST, SECOND = "a", "b"
"""The columns of :meth:`Engine.neighbours` with the two."""


class Engine(ABC):
    """Runs ibis expressions from Parquet to Parquet.

    Attributes:
        name: As it is told apart from others: what one made, another does not go on with.
        group: How a replacement by a regular expression writes its first group.
        orderly: Whether it writes a sorted table into one file.
    """

    name: str
    group: str
    orderly: bool

    @abstractmethod
    def table(self, path: Path) -> ir.Table:
        """What :meth:`write` wrote."""

    @abstractmethod
    def numbered(self, path: str) -> ir.Table:
        """A Parquet file of anyone's, with a column ``file_row_number`` that counts its rows from 0."""

    @abstractmethod
    def write(self, expression: ir.Table, path: Path, *, what: str, last: bool = False) -> None:
        """Writes the rows of ``expression``, with a bar on stderr.

        Args:
            expression: Of tables of this engine.
            path: A file or folder that is not there.
            what: On the bar.
            last: Whether people read it too, and not only the next stage.

        Raises:
            StorageError: It cannot be written.
            VlcError: The engine gave up, for want of memory perhaps.
        """

    @abstractmethod
    def rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        """The rows of a small result.

        Raises:
            VlcError: The engine gave up.
        """

    @abstractmethod
    def hashed(self, value: ir.StringValue) -> ir.IntegerValue:
        """64 bits of ``value``; every engine has its own."""

    @abstractmethod
    def hashed_word(self, word: ir.StringValue) -> ir.IntegerValue:
        """64 bits of a word, of which there are many and few different ones: in less time, and perhaps less even."""

    @abstractmethod
    def neighbours(self, table: ir.Table, items: ir.ArrayValue, keep: Mapping[str, ir.Value]) -> ir.Table:
        """A row for every two items that follow each other: :data:`FIRST`, :data:`SECOND`, and those of ``keep``."""

    @abstractmethod
    def close(self) -> None:
        """Ends it."""
