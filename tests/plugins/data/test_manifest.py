"""Manifests: one table in four formats reads alike, and its images, captions and labels come out right."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_core import DataError, Sample
from vlc_plugin_data.manifest import Manifest

ROWS: list[dict[str, Any]] = [
    {"image": "a.jpg", "caption": "an ant", "name": "ant", "id": 2, "split": "train"},
    {"image": "b.jpg", "caption": "a bee, big", "name": "bee", "id": 0, "split": "train"},
    {"image": "a.jpg", "caption": 'the "ant"', "name": "ant", "id": 2, "split": "train"},
    {"image": "sub/ç.jpg", "caption": "zwei\nZeilen 👩‍👩‍👧", "name": "", "id": None, "split": "val"},
]
FORMATS = ("csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.bz2")


def write(folder: Path, kind: str, rows: list[dict[str, Any]] = ROWS) -> str:
    """The rows as a manifest, and a file of its own name for each image."""
    for row in rows:
        (folder / row["image"]).parent.mkdir(exist_ok=True)
        (folder / row["image"]).write_bytes(row["image"].encode())
    path = folder / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
        return str(path)
    data = _text(rows, kind.partition(".")[0]).encode()
    compress: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress}
    path.write_bytes(compress.get(kind.rpartition(".")[2], bytes)(data))
    return str(path)


def _text(rows: list[dict[str, Any]], kind: str) -> str:
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], delimiter="\t" if kind == "tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def samples(data: Manifest) -> list[Sample]:
    return [data[i] for i in range(len(data))]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_reads_alike(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind), text="caption", label="name")
    assert data.classes == ["ant", "bee"]
    assert samples(data) == [
        Sample(b"a.jpg", ("an ant", 'the "ant"'), 0, "a.jpg"),
        Sample(b"b.jpg", ("a bee, big",), 1, "b.jpg"),
        Sample("sub/ç.jpg".encode(), ("zwei\nZeilen 👩‍👩‍👧",), -1, "sub/ç.jpg"),
    ]
    assert data.texts(0) == ("an ant", 'the "ant"')


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_can_stay_apart(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind), text="caption", group=False)
    assert [(s.key, s.texts) for s in samples(data)][::2] == [("a.jpg", ("an ant",)), ("a.jpg", ('the "ant"',))]
    assert (len(data), data.classes) == (4, None)


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_are_kept_by_value(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    assert len(Manifest(path=path, where={"split": "train"})) == 2
    assert len(Manifest(path=path, where={"split": ["train", "val"], "id": 2})) == 1
    assert len(Manifest(path=path, where={"name": ["", "bee"]})) == 2
    with pytest.raises(DataError, match=r"holds no row with .*'test'"):
        Manifest(path=path, where={"split": "test"})


@pytest.mark.parametrize("kind", FORMATS)
def test_class_numbers(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    unnamed, named = Manifest(path=path, label="id"), Manifest(path=path, label="id", classes=["bee", "cat", "ant"])
    assert (unnamed.classes, named.classes) == (["0", "1", "2"], ["bee", "cat", "ant"])
    assert [s.label for s in samples(unnamed)] == [s.label for s in samples(named)] == [2, 0, -1]


@pytest.mark.parametrize("kind", FORMATS)
def test_given_classes_set_the_order(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind), label="name", classes=["bee", "ant", "cat"])
    assert data.classes == ["bee", "ant", "cat"]
    assert [s.label for s in samples(data)] == [1, 0, -1]


@pytest.mark.parametrize("kind", FORMATS)
def test_several_text_columns_add_up(kind: str, tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, kind), text=["caption", "split"])
    assert data.texts(0) == ("an ant", "train", 'the "ant"', "train")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_of_captions(kind: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"image": "a.jpg", "captions": ["1", "2"]},
        {"image": "b.jpg", "captions": []},
        {"image": "c.jpg"},
    ]
    data = Manifest(path=write(tmp_path, kind, rows), text="captions")
    assert [data.texts(i) for i in range(3)] == [("1", "2"), ("",), ("",)]


def test_rows_of_one_image_may_be_anywhere(tmp_path: Path) -> None:
    order = [3, 0, 1, 0, 3, 2, 1, 0]
    rows = [{"image": f"{i}.jpg", "caption": f"{n}"} for n, i in enumerate(order)]
    data = Manifest(path=write(tmp_path, "csv", rows), text="caption")
    assert [(s.key, s.texts) for s in samples(data)] == [
        ("3.jpg", ("0", "4")),
        ("0.jpg", ("1", "3", "7")),
        ("1.jpg", ("2", "6")),
        ("2.jpg", ("5",)),
    ]


def test_rows_of_one_image_must_agree_on_its_label(tmp_path: Path) -> None:
    rows = [{"image": "a.jpg", "name": name} for name in ("ant", "", "bee")]
    with pytest.raises(DataError, match="its rows have different labels"):
        Manifest(path=write(tmp_path, "csv", rows), label="name")[0]
    assert Manifest(path=write(tmp_path, "csv", rows[:2]), label="name")[0].label == 0


def test_images_inside_parquet(tmp_path: Path) -> None:
    images = [b"first", b"second", None]
    structs = [{"bytes": image, "path": f"{i}.jpg"} for i, image in enumerate(images)]
    text = ["one", "two", "three"]
    for name, column in (("plain", images), ("struct", structs)):
        pq.write_table(pa.table({"image": column, "text": text}), tmp_path / f"{name}.parquet")
    plain = Manifest(path=str(tmp_path / "plain.parquet"), text="text")
    struct = Manifest(path=str(tmp_path / "struct.parquet"), text="text")
    for data, name in ((plain, "row-{}"), (struct, "{}.jpg")):
        assert data[0] == Sample(b"first", ("one",), -1, name.format(0))
        assert data[1] == Sample(b"second", ("two",), -1, name.format(1))
        with pytest.raises(DataError, match="the row has no image"):
            data[2]


def test_images_inside_parquet_are_filtered_and_cost_no_memory(tmp_path: Path) -> None:
    table = pa.table({"image": [bytes([i]) * 100_000 for i in range(100)], "keep": [i % 2 for i in range(100)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    del table
    before = pa.total_allocated_bytes()
    data = Manifest(path=str(tmp_path / "t.parquet"), where={"keep": 1})
    assert pa.total_allocated_bytes() - before < 500_000
    assert (len(data), data[7].image) == (50, bytes([15]) * 100_000)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_any_store_reads_alike(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path) + "/", "/manifests/", recursive=True)
    local = samples(Manifest(path=path, text="caption"))
    for url in (f"file://{path}", f"memory://manifests/table.{kind}"):
        assert samples(Manifest(path=url, text="caption")) == local, url
    memory.rm("/manifests", recursive=True)


def test_paths_may_be_absolute_urls_or_below_another_root(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"here")
    fsspec.filesystem("memory").pipe_file("/far/b.jpg", b"far")
    paths = ["a.jpg", f"{tmp_path}/images/a.jpg", "memory://far/b.jpg", f"file://{tmp_path}/images/a.jpg"]
    (tmp_path / "t.csv").write_text("image\n" + "\n".join(paths) + "\n")
    data = Manifest(path=str(tmp_path / "t.csv"), root=str(tmp_path / "images"))
    assert [s.image for s in samples(data)] == [b"here", b"here", b"far", b"here"]
    fsspec.filesystem("memory").rm("/far", recursive=True)


def test_missing_images_are_bad_samples(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,caption\nnowhere.jpg,x\n,y\n.,z\n")
    data = Manifest(path=str(tmp_path / "t.csv"), text="caption")
    reasons = ["there is no file nowhere.jpg in", "the row has no image", r"\. in .* is a directory"]
    for index, reason in enumerate(reasons):
        with pytest.raises(DataError, match=f"(?i){reason}"):
            data[index]


def test_it_goes_through_pickle(tmp_path: Path) -> None:
    data = Manifest(path=write(tmp_path, "csv"), text="caption", label="name")
    assert samples(pickle.loads(pickle.dumps(data))) == samples(data)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_any_text_survives_any_format(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"image": f"{i}.jpg", "caption": text} for i, text in enumerate(texts)]
    expected = [text.encode("utf-8", "replace").decode() for text in texts]
    for kind in ("jsonl", "csv", "tsv"):
        (folder / f"t.{kind}").write_bytes(_text(rows, kind).encode("utf-8", "replace"))
        data = Manifest(path=str(folder / f"t.{kind}"), text="caption")
        assert [data.texts(i)[0] for i in range(len(texts))] == expected, kind


def test_a_table_is_not_held_as_python_objects(tmp_path: Path) -> None:
    """A hundred thousand rows cost about what their text does."""
    import tracemalloc

    path = tmp_path / "t.csv"
    path.write_text("image,caption\n" + "".join(f"{i:09d}.jpg,caption number {i}\n" for i in range(100_000)))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    data = Manifest(path=str(path), text="caption")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(data) == 100_000
    assert kept < 2_000_000
    assert pa.total_allocated_bytes() - before < 2 * path.stat().st_size


def test_real_manifests(shared_data: Path) -> None:
    flickr = str(shared_data / "flickr8k")
    lists = Manifest(path=f"{flickr}/pairs.jsonl", text="captions")
    pairs = Manifest(path=f"{flickr}/captions.csv", text="caption", root=f"{flickr}/images")
    assert len(lists) == len(pairs) == 700
    assert [lists.texts(i) for i in range(700)] == [pairs.texts(i) for i in range(700)]
    moji = str(shared_data / "openmoji" / "manifest")
    options: dict[str, Any] = {"image": "file", "text": "text", "label": "group", "where": {"skintone": ""}}
    tables = [Manifest(path=moji + kind, **options) for kind in (".csv", ".jsonl")]
    assert [len(table) for table in tables] == [1772, 1772]
    assert samples(tables[0]) == samples(tables[1])
