"""Folders that are whole or not there, whenever their writer is killed.

Files are written beside the folder's final place, flushed to disk and named by digest in a manifest that is written
last; then the folder gets its name. One that replaces another has a moment without either under that name: the new one
is then whole beside it and the old one too, and :func:`found` knows where.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlc_core.errors import StorageError

SCHEMA = 1
MANIFEST = "manifest.json"
_PARTIAL, _OLD = ".partial", ".old"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What says that there is no room, which there may be again later."""


def write_folder(final: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of ``files`` and their manifest; it replaces the one that is there.

    Raises:
        StorageError: It cannot be written; what was there before is there still.
    """
    beside = _beside(final, _PARTIAL)
    try:
        settle(final)
        beside.mkdir(parents=True)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, content in {**files, MANIFEST: as_json({"schema": SCHEMA, "sha256": digests})}.items():
            _write(beside / name, content)
        _flush(beside)
        _replace(final, beside)
        _flush(final.parent)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StorageError(_sentence(final, files, error)) from error


def found(final: Path) -> Path:
    """Where the content of ``final`` is: under its name, or where a writer that was killed left it."""
    if not final.exists():
        for ending in (_PARTIAL, _OLD):
            left = _beside(final, ending)
            if not problems(left):
                return left
    return final


def settle(final: Path) -> None:
    """Gives ``final`` what a writer that was killed left for it, and removes what it left besides.

    Raises:
        OSError: The folder around it cannot be written.
    """
    where = found(final)
    if where != final:
        where.rename(final)
    for ending in (_PARTIAL, _OLD):
        shutil.rmtree(_beside(final, ending), ignore_errors=True)


def settle_all(parent: Path) -> None:
    """:func:`settle` for every folder in ``parent``.

    Raises:
        StorageError: ``parent`` cannot be written.
    """
    if not parent.is_dir():
        return
    try:
        for left in sorted(parent.iterdir()):
            if left.name.startswith(".") and left.suffix in (_PARTIAL, _OLD) and left.is_dir():
                settle(parent / left.stem.removeprefix("."))
    except OSError as error:
        raise StorageError(
            f"{parent} cannot be written ({error.strerror or error}): check its owner and mode"
        ) from error


def problems(folder: Path) -> list[str]:
    """What keeps ``folder`` from being what was written: its manifest, or names of files that differ from it."""
    try:
        digests: dict[str, str] = json.loads((folder / MANIFEST).read_bytes())["sha256"]
        return [name for name, digest in digests.items() if _digest(folder / name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [MANIFEST]


def schema(folder: Path) -> int:
    """By which version of the layout ``folder`` was written; 0 where it does not tell."""
    try:
        return int(json.loads((folder / MANIFEST).read_bytes())["schema"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def as_json(value: Any) -> bytes:
    """``value`` as a JSON file for people to read."""
    return (json.dumps(value, indent=2) + "\n").encode()


def _beside(final: Path, ending: str) -> Path:
    return final.with_name(f".{final.name}{ending}")


def _replace(final: Path, beside: Path) -> None:
    """Gives ``beside`` its name. A folder cannot be renamed onto another, so the other one steps aside."""
    if not final.exists():
        beside.rename(final)
        return
    old = _beside(final, _OLD)
    final.rename(old)
    try:
        beside.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sentence(final: Path, files: Mapping[str, bytes], error: OSError) -> str:
    need = sum(len(content) for content in files.values())
    why = error.strerror or str(error)
    if error.errno in FULL:
        return f"{final} cannot be written ({why}): it needs {need:,} bytes ({need / 2**20:.1f} MiB), make room there"
    return f"{final} cannot be written ({why}): check that its folder is there and may be written to"


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
