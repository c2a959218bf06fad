"""Reading files through fsspec: local folders, object stores and archives by one path syntax.

Faults that pass are waited out (:mod:`vlc_plugin_data.retries`); a store that stays down raises StorageError.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import fsspec

from vlc_core import DataError
from vlc_core.errors import StorageError
from vlc_plugin_data.retries import ShortRead, patiently


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url`` and the path inside it.

    Raises:
        DataError: The protocol is unknown, or the package that speaks it is not installed.
    """
    try:
        return patiently(lambda: _open_store(url, os.getpid()), url)
    except (ImportError, ValueError) as error:
        raise DataError(f"{url} cannot be opened: {error}") from error


@lru_cache(maxsize=64)
def _open_store(url: str, process: int) -> tuple[Any, str]:
    """Once for each process: connections do not survive a fork."""
    file_system, path = fsspec.core.url_to_fs(url)
    return file_system, path


def is_local(url: str) -> bool:
    """Whether ``url`` is a path of this machine's own file system."""
    return "://" not in url and "::" not in url


def read(path: str, *, root: str = "") -> bytes:
    """The content of the file at ``path`` within the folder ``root``; an absolute path or URL stands for
    itself.

    Raises:
        DataError: It is not there or cannot be read. The message is a clause.
        StorageError: Its store stays down.
    """
    if "://" in path:
        root, path = split(path)
    try:
        return patiently(lambda: _content(path, root), f"the file {path} in {root}")
    except (FileNotFoundError, KeyError) as error:
        raise DataError(f"there is no file {path} in {root or 'this folder'}") from error
    except OSError as error:
        raise DataError(f"the file {path} in {root} cannot be read: {error.strerror or error}") from error


def read_range(url: str, start: int, stop: int) -> bytes:
    """The bytes ``start`` … ``stop`` - 1 of the file at ``url``, by one request.

    Raises:
        DataError: It is not there, cannot be read, or ends before ``stop``. The message is a clause.
        StorageError: Its store stays down, or serves whole files only.
    """
    try:
        return patiently(lambda: _part(url, start, stop), url)
    except (FileNotFoundError, KeyError) as error:
        raise DataError(f"there is no file {url}") from error
    except OSError as error:
        raise DataError(f"{url} cannot be read: {error.strerror or error}") from error


def split(url: str) -> tuple[str, str]:
    """The folder and the name of ``url``; what is chained with ``::`` belongs to the folder."""
    head, chain, rest = url.partition("::")
    folder, _, name = head.rpartition("/")
    return (folder + "/" if folder.endswith(":/") else folder) + chain + rest, name


def _content(path: str, root: str) -> bytes:
    if is_local(root):
        with open(os.path.join(root, path), "rb") as file:
            return file.read()
    file_system, base = open_store(root)
    content: bytes = file_system.cat_file(f"{base}/{path}" if base else path)
    return content


def _part(url: str, start: int, stop: int) -> bytes:
    if is_local(url):
        with open(url, "rb", buffering=0) as file:
            return _whole(
                os.pread(file.fileno(), stop - start, start), url, start, stop, os.fstat(file.fileno()).st_size
            )
    file_system, path = open_store(url)
    found: bytes = file_system.cat_file(path, start=start, end=stop)
    if len(found) > stop - start:
        raise StorageError(
            f"{url}: the server sends the whole file where a part of it is asked for: "
            "use a store that serves ranges, or copy the file to a local folder"
        )
    return found if len(found) == stop - start else _whole(found, url, start, stop, file_system.size(path))


def _whole(found: bytes, url: str, start: int, stop: int, size: int | None) -> bytes:
    """``found``, where it is all that was asked for.

    Raises:
        DataError: The file itself is too short.
        ShortRead: It is not; asking again may help.
    """
    if len(found) == stop - start:
        return found
    if size is not None and size < stop:
        raise DataError(f"{url} ends at byte {size} where {stop} were expected: it was cut or written anew")
    raise ShortRead(f"{len(found)} of {stop - start} bytes of {url} from byte {start} on")
