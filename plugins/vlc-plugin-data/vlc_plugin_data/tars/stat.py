"""The size and version of every shard, with as few requests as the store allows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from vlc_plugin_data.retries import patiently
from vlc_plugin_data.stores import is_local, open_store, split

THREADS = 32
_TAGS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "CRC", "created")
_LISTED = 8  # shards of one folder from which on the folder is listed


class Stat(NamedTuple):
    """A shard as its store describes it: its bytes, and what changes when it is written anew."""

    size: int
    tag: str


def stat_shards(urls: Sequence[str]) -> list[Stat | None]:
    """One for each of ``urls``; None where there is no such file.

    Raises:
        StorageError: A store stays down.
    """
    remote = [url for url in urls if not is_local(url)]
    known = _remote(remote) if remote else {}
    return [_local(url) if is_local(url) else known.get(url) for url in urls]


def _local(path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stat(found.st_size, str(found.st_mtime_ns))


def _remote(urls: Sequence[str]) -> dict[str, Stat]:
    known: dict[str, Stat] = {}
    for folder, names in _by_folder(urls).items():
        if len(names) >= _LISTED:
            known |= _listing(folder, names)
    rest = [url for url in urls if url not in known]
    with ThreadPoolExecutor(THREADS) as pool:
        known |= {url: found for url, found in zip(rest, pool.map(_one, rest), strict=True) if found is not None}
    return known


def _by_folder(urls: Iterable[str]) -> dict[str, dict[str, str]]:
    """Names to URLs, by folder."""
    folders: dict[str, dict[str, str]] = {}
    for url in urls:
        folder, name = split(url)
        folders.setdefault(folder, {})[name] = url
    return folders


def _listing(folder: str, names: dict[str, str]) -> dict[str, Stat]:
    """What a listing of the folder says of ``names``; nothing where the store cannot list."""
    file_system, inside = open_store(folder)
    try:
        entries = patiently(lambda: file_system.ls(inside, detail=True, refresh=True), folder)
    except (FileNotFoundError, NotImplementedError, PermissionError, TypeError):
        return {}
    found = {}
    for entry in entries:
        url = names.get(str(entry["name"]).rpartition("/")[2])
        stat = _stat(entry)
        if url is not None and stat is not None:
            found[url] = stat
    return found


def _one(url: str) -> Stat | None:
    file_system, path = open_store(url)
    try:
        return _stat(patiently(lambda: file_system.info(path), url))
    except (FileNotFoundError, KeyError):
        return None


def _stat(entry: dict[str, Any]) -> Stat | None:
    size = entry.get("size")
    if size is None:  # a web page's list of links
        return None
    tag = next((str(entry[name]) for name in _TAGS if entry.get(name)), "")
    return Stat(int(size), tag)
