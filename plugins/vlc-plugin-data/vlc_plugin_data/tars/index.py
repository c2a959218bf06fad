"""The index of a shard: which samples it holds and where their members stand.

An Arrow table of a row for each sample, mapped into memory and never parsed, with what was found out about the shard
beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from vlc_core import DataError
from vlc_plugin_data.stores import is_local, read_range
from vlc_plugin_data.tars.headers import Read, walk
from vlc_plugin_data.tars.members import ABSENT, Found, Sorted, sort_members

VERSION = 1
FIELDS = ("image", "txt", "json")
SCHEMA = pa.schema(
    [("key", pa.string())]
    + [(f"{name}_{what}", pa.uint32()) for name in FIELDS for what in ("block", "size")]
    + [("label", pa.string())]
)
_AHEAD = 8 << 20  # bytes that a remote shard is read by while its headers are looked for
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd --rm"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a shard.

    Attributes:
        size: Its bytes.
        tag: Tells one version of it from the next: an entity tag, or when it was written.
        samples: How many it holds.
        broken_at: The byte where it breaks off; None where it ends as it should.
        half: Samples left out because their members are cut off by that: 0 or 1.
        repeated: Members left out because another one of that key and kind came before.
        outside: Members left out because of a path that leads out of the tar.
        without_image: Keys left out for want of an image.
        without_text: Samples with neither caption nor label.
        ignored: Members of other kinds, by the endings of their names.
    """

    size: int
    tag: str
    samples: int = 0
    broken_at: int | None = None
    half: int = 0
    repeated: int = 0
    outside: int = 0
    without_image: int = 0
    without_text: int = 0
    ignored: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps({"version": VERSION} | asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Facts | None:
        """None where ``text`` is of another version, or none of ours."""
        try:
            found: dict[str, Any] = json.loads(text)
            return cls(**found) if found.pop("version", None) == VERSION else None
        except (ValueError, TypeError, AttributeError):
            return None


def make_index(url: str, size: int, tag: str) -> tuple[pa.Table, Facts]:
    """Reads the headers of the shard at ``url``.

    Local ones are hopped through; a remote one is read once from beginning to end, in large pieces.

    Raises:
        DataError: It is empty, compressed, or no tar.
        StorageError: Its store stays down.
    """
    with _reading(url, size) as read:
        _refuse_compressed(read(0, min(size, 8)), url)
        walked = walk(read, size)
        if walked.broken_at == 0:
            what = "empty" if size == 0 else "no tar, or cut within its first file"
            raise DataError(f"the shard {url} is {what}: write it anew, or leave it out")
        found = sort_members(walked, lambda member: read(member.start, member.size))
    return _table(found.samples), _facts(found, size, tag, walked.broken_at)


def _facts(found: Sorted, size: int, tag: str, broken_at: int | None) -> Facts:
    return Facts(
        size=size,
        tag=tag,
        samples=len(found.samples),
        broken_at=broken_at,
        half=found.half,
        repeated=found.repeated,
        outside=found.outside,
        without_image=found.without_image,
        without_text=found.without_text,
        ignored=dict(found.ignored),
    )


def _table(samples: Sequence[Found]) -> pa.Table:
    columns: list[pa.Array] = [pa.array([one.key for one in samples], pa.string())]
    for name in FIELDS:
        places = np.array([one.places.get(name, ABSENT) for one in samples], np.uint32).reshape(-1, 2)
        columns += [pa.array(np.ascontiguousarray(places[:, 0])), pa.array(np.ascontiguousarray(places[:, 1]))]
    columns.append(pa.array([one.label for one in samples], pa.string()))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _refuse_compressed(head: bytes, url: str) -> None:
    for magic, (name, repair) in _COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(
                f"the shard {url} is compressed with {name}, so no sample in it can be read without all before it: "
                f"run `{repair} {url.rpartition('/')[2]}` and name the .tar"
            )


@contextmanager
def _reading(url: str, size: int) -> Iterator[Read]:
    """Reads parts of a shard."""
    if not is_local(url):
        yield _Ahead(url, size)
        return
    try:
        with open(url, "rb", buffering=0) as file:
            descriptor = file.fileno()
            yield lambda start, length: os.pread(descriptor, length, start)
    except OSError as error:
        raise DataError(f"the shard {url} cannot be read: {error.strerror or error}") from error


class _Ahead:
    """Reads large pieces one after the other, and hands out small ones."""

    def __init__(self, url: str, size: int) -> None:
        self.url, self.size = url, size
        self.start, self.piece = 0, b""

    def __call__(self, start: int, length: int) -> bytes:
        if not (self.start <= start and start + length <= self.start + len(self.piece)):
            stop = min(max(start + length, start + _AHEAD), self.size)
            self.start, self.piece = start, read_range(self.url, start, stop)
        return self.piece[start - self.start : start - self.start + length]
