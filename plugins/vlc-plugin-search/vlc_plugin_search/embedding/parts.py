"""A part: the embeddings of consecutive samples, in one Parquet file for each side, whole or not there.

Shapes: R rows, D embedding width.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.batch import Skipped
from vlc_core.errors import StorageError
from vlc_plugin_data.tars.kept import whole
from vlc_plugin_search.embedding.encoding import Encoded
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.embedding.row import Row
from vlc_plugin_search.sides import Side

ROWS_OF_A_GROUP = 2048
COLUMNS = Row._fields
_LEAVES = ("source", "sample", "key", "label", "texts.list.element", "embedding.list.element")
_ABOUT = b"vlc"


@dataclass(frozen=True, slots=True)
class About:
    """What a part says of itself.

    Attributes:
        digest: What the model hashes to.
        first: The number of its first sample.
        stop: One past that of its last.
        skipped: Samples of these that could not be read.
    """

    digest: str
    first: int
    stop: int
    skipped: tuple[Skipped, ...]

    def as_json(self) -> str:
        told = {"digest": self.digest, "first": self.first, "stop": self.stop}
        return json.dumps(told | {"skipped": [list(one) for one in self.skipped]})

    @classmethod
    def from_json(cls, text: bytes) -> About:
        told = json.loads(text)
        return cls(told["digest"], told["first"], told["stop"], tuple(Skipped(*one) for one in told["skipped"]))


def file_name(side: Side, number: int) -> str:
    """Of part ``number``."""
    return f"{side}-{number:05d}.parquet"


def write_part(
    file: Path, side: Side, batches: Sequence[Encoded], about: About, *, width: int, precision: Precision
) -> None:
    """Writes the ``side`` of a part; it is there as a whole, on the disk, or not at all.

    Raises:
        OSError: It cannot be written.
    """
    table = _table(side, batches, width, precision).replace_schema_metadata({_ABOUT: about.as_json()})
    with whole(file) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=ROWS_OF_A_GROUP,
            compression={leaf: "none" if leaf.startswith("embedding") else "zstd" for leaf in _LEAVES},
            use_dictionary=["label"],
            write_statistics=["source", "sample", "key"],
            write_page_checksum=True,
        )
        with temporary.open("rb") as written:
            os.fsync(written.fileno())


def _table(side: Side, batches: Sequence[Encoded], width: int, precision: Precision) -> pa.Table:
    rows = [row for batch in batches for row in (batch.read.rows if side is Side.IMAGE else _one_to_a_text(batch))]
    embeds = [embed for batch in batches if (embed := batch.image if side is Side.IMAGE else batch.text) is not None]
    columns: dict[str, Any] = {
        "source": pa.array([row.source for row in rows], pa.int32()),
        "sample": pa.array([row.sample for row in rows], pa.int64()),
        "key": pa.array([_utf8(row.key) for row in rows], pa.string()),
        "label": pa.array([None if row.label is None else _utf8(row.label) for row in rows], pa.string()),
        "texts": pa.array([[_utf8(text) for text in row.texts] for row in rows], pa.list_(pa.string())),
    }
    return pa.table(columns | {"embedding": _column(embeds, width, precision)})


def _one_to_a_text(batch: Encoded) -> list[Row]:
    """The samples once for each of their texts, with that text alone; texts of one sample stand together."""
    rows = batch.read.rows
    return [row._replace(texts=(text,)) for row in rows for text in row.texts]


def _column(embeds: Sequence[Tensor], width: int, precision: Precision) -> pa.Array:
    stored = pa.float16() if precision is Precision.FLOAT16 else pa.float32()
    together: NDArray[Any] = torch.cat([torch.empty(0, width), *embeds]).numpy().astype(precision.value)
    return pa.FixedSizeListArray.from_arrays(pa.array(together.reshape(-1), stored), width)


def _utf8(text: str) -> str:
    """``text`` as Parquet can hold it: a file name may contain half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def about(file: Path) -> About | None:
    """What the part in ``file`` says of itself, if every page of it is as it was written; else None."""
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            for _ in opened.iter_batches():
                pass
            return About.from_json(opened.schema_arrow.metadata[_ABOUT])
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def count_rows(file: Path) -> int:
    """R.

    Raises:
        StorageError: The part is missing or broken.
    """
    with _opened(file) as opened:
        rows: int = opened.metadata.num_rows
        return rows


def read_vectors(file: Path, width: int) -> Iterator[NDArray[Any]]:
    """The embeddings (R, D) in the order of the rows, some at a time.

    Raises:
        StorageError: The part is missing or broken.
    """
    with _opened(file) as opened:
        try:
            for batch in opened.iter_batches(ROWS_OF_A_GROUP, columns=["embedding"]):
                flat: NDArray[Any] = batch.column(0).flatten().to_numpy(zero_copy_only=False)
                yield flat.reshape(-1, width)
        except (OSError, pa.ArrowException) as error:
            raise _broken(file, error) from error


def read_rows(file: Path, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Some rows of a part, in the order that they are asked for.

    Raises:
        StorageError: The part is missing or broken.
    """
    with _opened(file) as opened:
        groups = sorted({row // ROWS_OF_A_GROUP for row in rows})
        place = {group: number * ROWS_OF_A_GROUP for number, group in enumerate(groups)}
        try:
            table = opened.read_row_groups(groups, columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise _broken(file, error) from error
    wanted = np.array([place[row // ROWS_OF_A_GROUP] + row % ROWS_OF_A_GROUP for row in rows], dtype=np.int64)
    found: list[dict[str, Any]] = table.take(pa.array(wanted)).to_pylist()
    return found


def read_keys(file: Path) -> pa.ChunkedArray:
    """The keys of a part.

    Raises:
        StorageError: The part is missing or broken.
    """
    with _opened(file) as opened:
        try:
            return opened.read(columns=["key"]).column(0)
        except (OSError, pa.ArrowException) as error:
            raise _broken(file, error) from error


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise _broken(file, error) from error


def _broken(file: Path, error: Exception) -> StorageError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(". ")
    return StorageError(
        f"{file} is not what vlc embed wrote there ({reason}): run the same vlc embed again, which makes it anew"
    )
