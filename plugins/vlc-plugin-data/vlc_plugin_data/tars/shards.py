"""The shards of a source: named, found, indexed, and the bad ones among them counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from vlc_core import DataError
from vlc_plugin_data.tars import combined, kept
from vlc_plugin_data.tars.combined import Entry
from vlc_plugin_data.tars.index import Facts, make_index
from vlc_plugin_data.tars.pattern import shard_urls
from vlc_plugin_data.tars.stat import Stat, stat_shards

log = logging.getLogger("vlc")

Progress = Callable[[int, int], None]
WORKERS = 8
_NAMED = 3  # shards that a message names


class IndexedShard(NamedTuple):
    """A shard, and what its index says.

    Attributes:
        url: Of the shard.
        facts: What is known of it; None where it could not be indexed.
        place: Where its index is kept; empty where there is none.
        made: Whether that was made now; otherwise a fitting one was there.
        error: Why there is none; empty where there is.
    """

    url: str
    facts: Facts | None
    place: str = ""
    made: bool = False
    error: str = ""

    @property
    def cut(self) -> str:
        """Where it breaks off and what is used of it, a clause; empty where it ends as it should."""
        if self.facts is None or self.facts.broken_at is None:
            return ""
        return f"breaks off at byte {self.facts.broken_at:,}; the {self.facts.samples:,} samples before it are used"


class Shards(NamedTuple):
    """The usable shards of a source.

    Attributes:
        file: Holds all their samples, see :mod:`vlc_plugin_data.tars.combined`.
        urls: Of the shards.
        facts: What is known of each.
        bad: What is wrong with those that are left out, a sentence each.
    """

    file: Path
    urls: list[str]
    facts: list[Facts]
    bad: list[str]


def index_shards(
    path: str | Sequence[str], *, again: bool = False, workers: int = WORKERS, progress: Progress | None = None
) -> list[IndexedShard]:
    """Makes the index of every shard that lacks one, beside the shard where that can be written.

    Args:
        path: As the option ``path`` of the dataset ``webdataset``.
        again: Whether indexes are made although there are fitting ones.
        workers: How many shards are read at a time.
        progress: Told how many shards are done, and of how many.

    Raises:
        DataError: The path means no shard.
        StorageError: A store stays down.
    """
    urls = shard_urls(path)
    shards = zip(urls, stat_shards(urls), strict=True)
    done = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for shard, _ in pool.map(lambda one: _index(*one, again=again, beside=True), shards):
            done.append(shard)
            if progress is not None:
                progress(len(done), len(urls))
    return done


def open_shards(path: str | Sequence[str], *, max_bad: float = 0.0) -> Shards:
    """The shards of a source, indexed where they are not.

    Args:
        path: As the option ``path`` of the dataset ``webdataset``.
        max_bad: The share of shards that may be missing or unreadable.

    Raises:
        DataError: More than that are, or no sample is left.
        StorageError: A store stays down.
    """
    urls = shard_urls(path)
    stats = stat_shards(urls)
    missing = [_missing(url) for url, stat in zip(urls, stats, strict=True) if stat is None]
    _refuse(missing, len(urls), max_bad)
    there = [(url, stat) for url, stat in zip(urls, stats, strict=True) if stat is not None]
    file = combined.file_for(there)
    entries = combined.read(file)
    if entries is None or any(entry.error for entry in entries):  # what was wrong may have been mended
        entries = _combine(file, there)
    bad = [*missing, *(entry.error for entry in entries if entry.error)]
    _refuse(bad, len(urls), max_bad)
    return _told(Shards(file, *_good(entries), bad), len(urls))


def _combine(file: Path, there: Sequence[tuple[str, Stat]]) -> list[Entry]:
    with combined.alone(file):
        entries = combined.read(file)  # another process may have written it while this one waited
        if entries is not None and not any(entry.error for entry in entries):
            return entries
        return combined.write(file, _tables(there))


def _tables(there: Iterable[tuple[str, Stat]]) -> Iterator[tuple[Entry, pa.Table | None]]:
    with ThreadPoolExecutor(WORKERS) as pool:
        for shard, table in pool.map(lambda one: _index(*one), there):
            yield Entry(shard.url, shard.facts, shard.error), table


def _index(
    url: str, stat: Stat | None, *, again: bool = False, beside: bool = False
) -> tuple[IndexedShard, pa.Table | None]:
    if stat is None:
        return IndexedShard(url, None, error=_missing(url)), None
    found = None if again else kept.find(url, stat)
    if found is not None:
        return IndexedShard(url, found.facts, found.place), found.table
    try:
        table, facts = make_index(url, *stat)
    except DataError as error:
        return IndexedShard(url, None, error=str(error)), None
    return IndexedShard(url, facts, kept.keep(url, table, facts, beside=beside), made=True), table


def _good(entries: Sequence[Entry]) -> tuple[list[str], list[Facts]]:
    good = [(url, facts) for url, facts, _ in entries if facts is not None]
    if not sum(facts.samples for _, facts in good):
        where = f"{good[0][0]} and the {len(good) - 1} other shards" if len(good) > 1 else (good or entries)[0][0]
        raise DataError(f"no sample with an image is in {where}: check the option `path`")
    return [url for url, _ in good], [facts for _, facts in good]


def _refuse(bad: Sequence[str], count: int, max_bad: float) -> None:
    """Raises DataError where too many shards are bad, or all of them."""
    if bad and (len(bad) > max_bad * count or len(bad) == count):
        raise DataError(
            f"{bad[0]}; {len(bad)} of {count} shards are missing or cannot be read, where the option `max_bad` "
            f"allows a share of {max_bad:g}"
        )


def _told(shards: Shards, count: int) -> Shards:
    """``shards``, after what is wrong with them has been said in the log."""
    if shards.bad:
        log.warning("%d of %d shards are left out: %s", len(shards.bad), count, _listed(shards.bad))
    pairs = zip(shards.urls, shards.facts, strict=True)
    broken = [f"{url} at byte {facts.broken_at}" for url, facts in pairs if facts.broken_at is not None]
    if broken:
        log.warning("%d of %d shards break off; what stands before is used: %s", len(broken), count, _listed(broken))
    return shards


def _listed(told: Sequence[str]) -> str:
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return "; ".join(told[:_NAMED]) + more


def _missing(url: str) -> str:
    return f"there is no shard {url}"
