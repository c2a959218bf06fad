"""The shards of a source: the readable ones, and where in them every image is."""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, final

from vlc_core.naming import SourceSpec
from vlc_core.progress import Tracker
from vlc_plugin_data.stores import is_local, read_range
from vlc_plugin_data.tars import index_shards
from vlc_plugin_data.tars.headers import BLOCK, walk
from vlc_plugin_data.tars.members import sort_members
from vlc_plugin_data.tars.stat import stat_shards


class Readable(NamedTuple):
    """The shards of a source.

    Attributes:
        urls: Those that can be read.
        bad: What is wrong with each of the others, a sentence.
        cut: Where readable ones break off, a sentence each.
    """

    urls: list[str]
    bad: list[str]
    cut: list[str]


def readable(spec: SourceSpec) -> Readable:
    """Indexes the shards that ``spec`` names, and tells which can be read.

    Raises:
        DataError: It names none.
        StorageError: A store stays down.
    """
    with Tracker(f"indexing {spec.name}") as tracker:
        shards = index_shards(spec.use.options["path"], progress=tracker)
    return Readable(
        [one.url for one in shards if not one.error],
        [one.error for one in shards if one.error],
        [f"{one.url} {one.cut}" for one in shards if one.cut],
    )


@final
class InTars:
    """Where images in tars are, as fsspec writes it: ``tar://0001.jpg::/data/0.tar``.

    Args:
        urls: The shards.
        counts: How many samples each holds.
    """

    def __init__(self, urls: list[str], counts: list[int]) -> None:
        self._urls = urls
        self._starts = [0, *accumulate(counts)]

    def __call__(self, row: int, key: str) -> str:
        shard = bisect_right(self._starts, row) - 1
        url = self._urls[shard]
        whole = os.path.abspath(url) if is_local(url) else url
        return f"tar://{_names(url)[row - self._starts[shard]]}::{whole}"


@lru_cache(maxsize=2)
def _names(url: str) -> list[str]:
    """The names of the images of a shard, in the order of its samples."""
    (stat,) = stat_shards([url])
    assert stat is not None  # it has been indexed
    walked = walk(lambda start, length: read_range(url, start, start + length), stat.size)
    found = sort_members(walked, lambda member: b"")
    names = {member.start // BLOCK: member.name for member in walked.members}
    return [names[one.places["image"][0]] for one in found.samples]
