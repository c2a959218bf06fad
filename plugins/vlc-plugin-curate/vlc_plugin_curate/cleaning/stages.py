"""Results on the way, each whole or not there, under a name that says what they were made of.

A stage is written beside its name, flushed and renamed. Its name holds a digest of what it depends on: the digests of
the stages before it and the options that it reads. What was made is taken again exactly where it would be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vlc_core.errors import StorageError

VERSION = 3
"""Of what stages hold: to be raised where a rule or a column changes."""

_PARTIAL = ".partial"


class Stage(NamedTuple):
    """A result.

    Attributes:
        path: A Parquet file, or a folder of them.
        digest: Of what it was made of.
    """

    path: Path
    digest: str


class Stages:
    """The stages of one result.

    Args:
        folder: Where they are; it is made.

    Raises:
        StorageError: It cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"*{_PARTIAL}"):
                remove(left)
        except OSError as error:
            raise unwritable(folder, error) from error

    def make(self, name: str, depends: Any, write: Callable[[Path], None]) -> Stage:
        """The stage ``name``: what is there, or else what ``write`` writes to the path that it is given.

        Args:
            name: For people.
            depends: What it is made of, as JSON has it.
            write: Makes a file or a folder.

        Raises:
            StorageError: It cannot be written.
        """
        digest = digest_of([VERSION, name, depends])
        path = self.folder / f"{name}-{digest[:16]}.parquet"
        if not path.exists():
            partial = path.with_name(path.name + _PARTIAL)
            write(partial)
            settle(partial, path)
            self.made.append(name)
        return Stage(path, digest)

    def clear(self) -> None:
        """Removes them all."""
        remove(self.folder)


def digest_of(value: Any) -> str:
    """Of what JSON has."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode(errors="surrogatepass")).hexdigest()


def settle(partial: Path, final: Path) -> None:
    """Flushes ``partial`` to disk and gives it its name.

    Raises:
        StorageError: It cannot be done.
    """
    try:
        for path in [partial] if partial.is_file() else [one for one in sorted(partial.rglob("*")) if one.is_file()]:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(final)
    except OSError as error:
        raise unwritable(final, error) from error


def publish(path: Path, final: Path) -> None:
    """Gives the file of a stage a second name, in place of what is there, at once.

    Raises:
        StorageError: It cannot be done.
    """
    partial = final.with_name(f".{final.name}{_PARTIAL}")
    try:
        partial.unlink(missing_ok=True)
        if final.exists() and final.samefile(path):
            return  # a rename of one link onto another would do nothing, and leave both
        try:
            os.link(path, partial)
        except OSError:  # a file system without links
            shutil.copyfile(path, partial)
    except OSError as error:
        raise unwritable(final, error) from error
    settle(partial, final)


def write_whole(final: Path, content: bytes) -> None:
    """Writes a file that is there as a whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    partial = final.with_name(f".{final.name}{_PARTIAL}")
    try:
        partial.write_bytes(content)
    except OSError as error:
        raise unwritable(final, error) from error
    settle(partial, final)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> StorageError:
    """The sentence for a place that cannot be written."""
    return StorageError(f"{path} cannot be written ({error.strerror or error}): choose another place by --out")
