"""Reading files through fsspec: local folders, object stores and archives by one path syntax."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import fsspec

from vlc_core import DataError


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url`` and the path inside it.

    Raises:
        DataError: The protocol is unknown, or the package that speaks it is not installed.
    """
    try:
        return _open_store(url, os.getpid())
    except (ImportError, ValueError) as error:
        raise DataError(f"{url} cannot be opened: {error}") from error


@lru_cache(maxsize=64)
def _open_store(url: str, process: int) -> tuple[Any, str]:
    """Once for each process: connections do not survive a fork."""
    file_system, path = fsspec.core.url_to_fs(url)
    return file_system, path


def read(path: str, *, root: str = "") -> bytes:
    """The content of the file at ``path`` within the folder ``root``; an absolute path or URL stands for
    itself.

    Raises:
        DataError: It is not there or cannot be read. The message is a clause.
    """
    if "://" in path:
        root, path = _split(path)
    try:
        if "://" not in root:
            with open(os.path.join(root, path), "rb") as file:
                return file.read()
        file_system, base = open_store(root)
        content: bytes = file_system.cat_file(f"{base}/{path}" if base else path)
    except (FileNotFoundError, KeyError) as error:
        raise DataError(f"there is no file {path} in {root or 'this folder'}") from error
    except OSError as error:
        raise DataError(f"the file {path} in {root} cannot be read: {error.strerror or error}") from error
    return content


def _split(url: str) -> tuple[str, str]:
    """The folder and the name of ``url``; what is chained with ``::`` belongs to the folder."""
    head, chain, rest = url.partition("::")
    folder, _, name = head.rpartition("/")
    return (folder + "/" if folder.endswith(":/") else folder) + chain + rest, name
