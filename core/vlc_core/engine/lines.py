"""Files of one JSON object a line that grow during a run, and outlive a full disk and a kill."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from vlc_core.errors import StorageError
from vlc_core.folders import FULL

log = logging.getLogger("vlc")

HELD_BYTES = 64 * 2**20


@final
class Lines:
    """A file that lines are appended to, each there as soon as it is written.

    Where the disk is full, lines are held and written with later ones: they must not cost the training beside them.

    Args:
        path: The file; made where there is none.

    Raises:
        StorageError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = b""
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, *records: Mapping[str, Any]) -> None:
        """Appends a line for each record, with null for a number that is not finite: JSON has no word for it.

        Raises:
            StorageError: It cannot be written, for another reason than a full disk, or too much is held.
        """
        full = bool(self._held)
        self._held += b"".join(json.dumps(_told(record)).encode() + b"\n" for record in records)
        try:
            self._push()
        except OSError as error:
            if error.errno not in FULL or len(self._held) > HELD_BYTES:
                raise unwritable(self.path, error) from error
            if not full:
                log.warning("%s is not written (%s): its lines are held until there is room", self.path, error.strerror)

    def close(self) -> None:
        """Writes what is held, and closes the file.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            self._push()
        except OSError as error:
            raise unwritable(self.path, error) from error
        finally:
            self._file.close()

    def _push(self) -> None:
        # What a full disk takes of a line stays there, and the rest follows when there is room.
        while self._held:
            self._held = self._held[self._file.write(self._held) :]


def cut_after(path: Path, *, step: int) -> None:
    """Keeps whole lines whose ``step`` is at most ``step``; beside it first, so that a kill loses none of them.

    Raises:
        StorageError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        if not path.exists():
            return
        lines = path.read_bytes().splitlines(keepends=True)
        beside.write_bytes(b"".join(line for line in lines if line.endswith(b"\n") and _step_of(line) <= step))
        beside.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StorageError:
    """What is said of a file of a run folder that cannot be written."""
    return StorageError(f"{path} cannot be written ({error.strerror or error}): make room, and go on with --resume")


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }


def _step_of(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # half a line, from a run that was killed
