"""Arrays kept in numbered parts, each whole or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlc_core.errors import StorageError


class KeptParts:
    """The parts that are kept of one source.

    Args:
        folder: Where; it is made.
        name: Of the source.
        dtype: Of a row. A part of another one is passed over and written anew.
    """

    def __init__(self, folder: Path, name: str, dtype: np.dtype[np.void]) -> None:
        self._folder = folder / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._dtype = dtype
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def read(self, number: int) -> NDArray[np.void] | None:
        """The part of this number; None where there is none that can be used."""
        try:
            part: NDArray[np.void] = np.load(self._file(number), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return part if part.dtype == self._dtype else None

    def write(self, number: int, rows: NDArray[np.void]) -> None:
        """Keeps ``rows`` as the part of this number.

        Raises:
            StorageError: They cannot be written.
        """
        file = self._file(number)
        beside = file.with_suffix(".partial")
        try:
            with beside.open("wb") as opened:
                np.save(opened, rows, allow_pickle=False)
                opened.flush()
                os.fsync(opened.fileno())
            beside.replace(file)
        except OSError as error:
            raise _unwritable(file, error) from error

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npy"


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written ({error.strerror or error}): choose another folder, or make room")
