"""Columns of precomputed embeddings: JSONL and Parquet read alike, and what is no vector is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlc_core import DataError
from vlc_plugin_data.manifest import Manifest

ROWS: list[dict[str, Any]] = [
    {"name": "a", "vector": [1.0, 2.5, -3.0], "caption": "one", "label": "x"},
    {"name": "b", "vector": [0, 0, 1], "caption": "two", "label": "y"},
    {"name": "a", "vector": [1.0, 2.5, -3.0], "caption": "three", "label": "x"},
]
TYPES = {
    "jsonl": None,
    "double": pa.list_(pa.float64()),
    "half": pa.list_(pa.float16()),
    "large": pa.large_list(pa.float32()),
    "fixed": pa.list_(pa.float32(), 3),
    "integers": pa.list_(pa.int64()),
}


def write(folder: Path, kind: str, rows: list[dict[str, Any]]) -> str:
    if kind == "jsonl":
        (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder / "t.jsonl")
    columns = {name: pa.array([row.get(name) for row in rows]) for name in rows[0]}
    if TYPES[kind] is not None:
        columns["vector"] = pa.array([row["vector"] for row in rows], pa.list_(pa.float64())).cast(TYPES[kind])
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=2)
    return str(folder / "t.parquet")


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "integers"])
def test_every_type_reads_alike(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind, ROWS), features="vector", text="caption", label="label")
    assert (len(data), data.vector_width, data.classes) == (3, 3, ["x", "y"])
    for index, row in enumerate(ROWS):
        sample = data[index]
        assert isinstance(sample.image, np.ndarray)
        assert sample.image.dtype == np.float32
        assert sample.image.tolist() == row["vector"]
        assert (sample.texts, sample.key) == ((row["caption"],), f"row-{index}")


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    rows = [{"vector": [1, 2, 3]}]
    image = Manifest(path=write(tmp_path, "integers", rows), features="vector")[0].image
    assert isinstance(image, np.ndarray)
    assert image.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["jsonl", "fixed"])
def test_rows_of_one_image_are_brought_together(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind, ROWS), features="vector", text="caption", image="name")
    assert [(data[i].key, data[i].texts) for i in range(len(data))] == [("a", ("one", "three")), ("b", ("two",))]


@pytest.mark.parametrize("kind", ["jsonl", "double"])
def test_rows_are_kept_by_value(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind, ROWS), features="vector", where={"label": "y"})
    assert len(data) == 1
    assert data[0].image.tolist() == [0, 0, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["jsonl", "double"])
def test_a_row_without_a_vector_cannot_be_read_and_the_others_can(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind, [ROWS[0], ROWS[1] | {"vector": None}]), features="vector")
    assert data[0].image.tolist() == [1.0, 2.5, -3.0]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="the row has no vector"):
        data[1]


@pytest.mark.parametrize("kind", ["jsonl", "double"])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROWS[0], ROWS[1] | {"vector": [1.0]}], "vectors of 1 and 3 numbers"),
        ([ROWS[0] | {"vector": []}], "vectors of 0 numbers"),
        ([ROWS[0] | {"name": ""}], "rows have no name in the column 'name'"),
    ],
)
def test_tables_that_cannot_be_used(kind: str, rows: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        Manifest(path=write(tmp_path, kind, rows), features="vector", image="name")


@pytest.mark.parametrize("value", ["[1, 2]", {"a": 1}, [1, "2"], [True, 1.0], [[1.0]]])
def test_a_json_value_that_is_no_vector_is_named_with_its_line(value: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.jsonl, line 2: 'vector' is not a list of numbers"):
        Manifest(path=write(tmp_path, "jsonl", [ROWS[0], ROWS[1] | {"vector": value}]), features="vector")


def test_columns_of_something_else(tmp_path: Path) -> None:
    path = write(tmp_path, "double", ROWS)
    with pytest.raises(DataError, match=r"the column 'caption' holds string, not lists of numbers"):
        Manifest(path=path, features="caption")
    with pytest.raises(DataError, match=r"no column 'vectors', which the option `features` names.*vector"):
        Manifest(path=path, features="vectors")
    with pytest.raises(DataError, match=r"the column 'vector' names images, and it holds list"):
        Manifest(path=path, features="vector", image="vector")


def test_a_csv_holds_no_lists(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("vector\n1\n")
    with pytest.raises(DataError, match="write the table as Parquet or JSONL"):
        Manifest(path=str(tmp_path / "t.csv"), features="vector")
