"""Images with captions and labels in tar shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_core.batch import UNLABELLED
from vlc_plugin_data.labels import Labels, read_labels
from vlc_plugin_data.stores import is_local, read_range
from vlc_plugin_data.tars import combined
from vlc_plugin_data.tars.headers import BLOCK
from vlc_plugin_data.tars.index import FIELDS
from vlc_plugin_data.tars.shards import open_shards

_GAP = 64 << 10  # bytes between members of a sample that are rather read along than asked for apart
_LONGEST = 16 << 20  # bytes of a caption file
_AHEAD = 15  # samples of a remote shard that are read at once where the one before them was asked for just now
_OF_A_PROCESS = ("_samples", "_views", "_piece", "_last")
_MOST_AHEAD = 32 << 20  # and no more bytes than that


class _Piece(NamedTuple):
    """A part of a shard that was read ahead: bytes ``start`` and on."""

    shard: int
    start: int
    data: bytes


class _Place(NamedTuple):
    """Where a member stands in its shard, in bytes."""

    start: int
    stop: int


@final
class WebDataset(Dataset):
    """Tar shards in which the files of a sample share a name: ``0001.jpg`` with ``0001.txt``, ``.json`` or ``.cls``.

    Shards are local or at any URL that fsspec can open, and not compressed. What stands where is kept in an index
    beside each of them (or in a cache folder), which is made on first use or by ``vlc data index``; a sample is then
    one read, wherever it stands. Members of other kinds are never looked at.
    """

    def __init__(
        self,
        *,
        path: Annotated[str | list[str], PathLike()],
        captions: str = "captions",
        classes: list[str] | None = None,
        max_bad: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        """Finds the shards and maps their indexes.

        Args:
            path: The shards: one, a range such as ``cc3m-{00000..00331}.tar``, a glob, or a list of these.
            captions: The key in a sample's ``.json`` that holds its captions, a list or a text. Samples without it
                have the text of their ``.txt``, or else the ``caption`` of their ``.json``.
            classes: The names of all classes in the order of their labels, where samples have a ``.cls``. Without it,
                names found there are sorted, and numbers are named after themselves.
            max_bad: The share of shards that may be missing or unreadable; they are left out and named in the log.

        Raises:
            DataError: A shard is missing, compressed or no tar, or none has an image.
            StorageError: A store does not answer.
        """
        opened = open_shards(path, max_bad=max_bad)
        self._urls = opened.urls
        self._file = opened.file
        self._captions = captions
        self.facts = opened.facts
        self.shards: Sequence[int] = [facts.samples for facts in opened.facts]
        self._starts = np.concatenate([[0], np.cumsum(self.shards)]).astype(np.int64)
        self._map()
        self._labels: NDArray[np.int32] | None = None
        named = _labels(self._samples.column("label"), classes, opened.urls[0])
        if named is not None:
            self._labels, self.classes, self.numbered = named

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Sample:
        shard, row = self._locate(index)
        places = self._places(shard, row, ("image", "txt", "json"))
        self._read_ahead(shard, row)
        key = f"{_stem(self._urls[shard])}/{self._samples.column('key').chunk(shard)[row].as_py()}"
        found = self._read(shard, places)
        label = UNLABELLED if self._labels is None else int(self._labels[index])
        return Sample(found["image"], self._texts(found), label, key)

    def texts(self, index: int) -> tuple[str, ...]:
        shard, row = self._locate(index)
        return self._texts(self._read(shard, self._places(shard, row, ("txt", "json"))))

    def labels(self) -> NDArray[np.int32] | None:
        return self._labels

    def __getstate__(self) -> dict[str, Any]:
        """Without the samples, which another process maps for itself."""
        return {name: value for name, value in self.__dict__.items() if name not in _OF_A_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _map(self) -> None:
        self._samples = combined.open_samples(self._file)
        self._views: dict[int, dict[str, NDArray[np.uint32]]] = {}
        self._piece: _Piece | None = None
        self._last: tuple[int, int] | None = None

    def _locate(self, index: int) -> tuple[int, int]:
        """The shard of a sample, and its row there."""
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return shard, index - int(self._starts[shard])

    def _places(self, shard: int, row: int, fields: Sequence[str]) -> dict[str, _Place]:
        columns = self._columns_of(shard)
        places = {}
        for field in fields:
            block, size = int(columns[f"{field}_block"][row]), int(columns[f"{field}_size"][row])
            if block and (field == "image" or size <= _LONGEST):
                places[field] = _Place(block * BLOCK, block * BLOCK + size)
        return places

    def _columns_of(self, shard: int) -> dict[str, NDArray[np.uint32]]:
        """The numbers of a shard's samples, in the mapped file's own memory."""
        if shard not in self._views:
            names = [f"{field}_{what}" for field in FIELDS for what in ("block", "size")]
            self._views[shard] = {name: self._samples.column(name).chunk(shard).to_numpy() for name in names}
        return self._views[shard]

    def _read(self, shard: int, places: dict[str, _Place]) -> dict[str, bytes]:
        """The members of a sample: by one read where they are neighbours."""
        found: dict[str, bytes] = {}
        for start, stop in _spans(places.values()):
            data = self._bytes(shard, start, stop)
            for field, place in places.items():
                if start <= place.start and place.stop <= stop:
                    found[field] = data[place.start - start : place.stop - start]
        return found

    def _bytes(self, shard: int, start: int, stop: int) -> bytes:
        piece = self._piece
        if piece is not None and piece.shard == shard and piece.start <= start:
            data = piece.data[start - piece.start : stop - piece.start]
            if len(data) == stop - start:
                return data
        return read_range(self._urls[shard], start, stop)

    def _read_ahead(self, shard: int, row: int) -> None:
        """Reads some samples at once where a remote shard is walked through: neighbours come in blocks."""
        follows, self._last = self._last == (shard, row - 1), (shard, row)
        if not follows or is_local(self._urls[shard]):
            return
        rows = range(row, min(row + _AHEAD, self.shards[shard]))
        places = [place for one in rows for place in self._places(shard, one, FIELDS).values()]
        start, stop = min(place.start for place in places), max(place.stop for place in places)
        have = self._piece
        if have is not None and have.shard == shard and have.start <= start < have.start + len(have.data):
            return
        if stop - start <= min(_MOST_AHEAD, 2 * sum(place.stop - place.start for place in places) + _GAP):
            self._piece = _Piece(shard, start, read_range(self._urls[shard], start, stop))

    def _texts(self, found: dict[str, bytes]) -> tuple[str, ...]:
        facts = _object(found["json"]) if "json" in found else {}
        listed = _listed(facts.get(self._captions))
        if listed:
            return listed
        if "txt" in found:
            return (found["txt"].decode("utf-8", "replace").removeprefix("\ufeff").strip(),)
        return _listed(facts.get("caption"))


def _spans(places: Any) -> list[tuple[int, int]]:
    """The reads that cover ``places``: those that are close together by one."""
    spans: list[tuple[int, int]] = []
    for start, stop in sorted(places):
        if spans and start - spans[-1][1] <= _GAP:
            spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
        else:
            spans.append((start, stop))
    return spans


def _object(data: bytes) -> dict[str, Any]:
    """What a sample's ``.json`` says.

    Raises:
        DataError: It is no JSON object. The message is a clause.
    """
    try:
        found = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"its .json cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise DataError("its .json is no object")
    return found


def _listed(value: Any) -> tuple[str, ...]:
    """The texts of a text or a list of texts; empty ones are kept, so that they are counted as such."""
    values = value if isinstance(value, list) else [value]
    return tuple(_encodable(text) for text in values if isinstance(text, str))


def _encodable(text: str) -> str:
    """Half of a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _labels(column: pa.ChunkedArray, classes: Sequence[str] | None, place: str) -> Labels | None:
    """None where no sample has a label, and no classes are given."""
    if column.null_count == len(column) and classes is None:
        return None
    return read_labels(column.dictionary_encode(), classes, f"the .cls files of {place}")


def _stem(url: str) -> str:
    return Path(url.partition("::")[0]).name.removesuffix(".tar")
