"""Odd manifests: each gives its rows, or one sentence with the file, the line and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlc_core import DataError
from vlc_plugin_data.labels import agreed
from vlc_plugin_data.manifest import Manifest

CAPTION: dict[str, Any] = {"text": "caption"}
NAMED: dict[str, Any] = {"label": "name"}

ERRORS: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "empty CSV": (
        "t.csv",
        b"",
        CAPTION,
        "{}, line 1: there is no header with the names of the columns",
    ),
    "header only": ("t.csv", b"image,caption\n", CAPTION, "{} holds no row"),
    "blank lines only": ("t.csv", b"\n\n\n", CAPTION, "{}, line 1: there is no header with the names of the columns"),
    "mistyped column": (
        "t.csv",
        b"image,captoin\na.jpg,x\n",
        CAPTION,
        "{}, line 1: there is no column 'caption', which the option `text` names; the columns are image, captoin; "
        "did you mean 'captoin'?",
    ),
    "other case": (
        "t.csv",
        b"Image,caption\na.jpg,x\n",
        CAPTION,
        "{}, line 1: there is no column 'image', where images are looked for: name theirs by the option `image`; "
        "the columns are Image, caption; "
        "did you mean 'Image'?",
    ),
    "no label column": (
        "t.jsonl",
        b'{"image": "a.jpg", "label": 3}\n',
        NAMED,
        "{}, line 1: there is no column 'name', which the option `label` names; the columns are image, label",
    ),
    "no column to filter by": (
        "t.tsv",
        b"image\tcaption\na.jpg\tx\n",
        {"where": {"split": "train"}},
        "{}, line 1: there is no column 'split', which the option `where` names; the columns are image, caption",
    ),
    "other separator": (
        "t.csv",
        b"image;caption\na.jpg;x\n",
        CAPTION,
        "{}, line 1 (its fields seem to be separated by ';': set the option `delimiter`): there is no column 'image', "
        "where images are looked for: name theirs by the option `image`; the columns are image;caption",
    ),
    "unquoted comma": (
        "t.csv",
        b"image,caption\na.jpg,x\nb.jpg,a dog, a cat\n",
        CAPTION,
        "{}, line 3: 3 fields where the header has 2; put texts that contain the delimiter or line breaks between "
        "double quotes",
    ),
    "short row": (
        "t.csv",
        b"image,caption\r\na.jpg\r\n",
        CAPTION,
        "{}, line 2: 1 field where the header has 2; put texts that contain the delimiter or line breaks between "
        "double quotes",
    ),
    "open quote": ("t.csv", b'image,caption\na.jpg,"x\n', CAPTION, "{}, line 2: unexpected end of data"),
    "text after a quote": ("t.csv", b'image,caption\na.jpg,"x" y\n', CAPTION, "{}, line 2: ',' expected after '\"'"),
    "empty JSONL": ("t.jsonl", b"\n \n", CAPTION, "{} holds no row"),
    "broken JSON": (
        "t.jsonl",
        b'{"image": "a.jpg", "caption": "x"}\n\n{"image": "b.jpg"\n',
        CAPTION,
        "{}, line 3: not JSON: Expecting ',' delimiter: line 2 column 1 (char 18)",
    ),
    "a JSON array": (
        "t.json",
        b'[{"image": "a.jpg"}]\n',
        {},
        "{}, line 1: a list; write one JSON object a line, {{...}}",
    ),
    "JSON numbers": ("t.jsonl", b"12\n", {}, "{}, line 1: no object; write one JSON object a line, {{...}}"),
    "deep JSON": ("t.jsonl", b"[" * 200_000, {}, "{}, line 1: its JSON is nested too deeply"),
    "caption of another type": (
        "t.jsonl",
        b'{"image": "a.jpg", "caption": 5}\n',
        CAPTION,
        "{}, line 1: 'caption' holds 5, not a text or a list of texts",
    ),
    "path of another type": (
        "t.jsonl",
        b'{"image": ["a.jpg"], "caption": "x"}\n',
        CAPTION,
        "{}, line 1: 'image' is ['a.jpg'], not a path",
    ),
    "label of another type": (
        "t.jsonl",
        b'{"image": "a.jpg", "name": {"en": "ant"}}\n',
        NAMED,
        "{}, line 1: 'name' is {{'en': 'ant'}}, not a class name or number",
    ),
    "unknown class": (
        "t.csv",
        b"image,name\na.jpg,ant\nb.jpg,been\n",
        {**NAMED, "classes": ["ant", "bee"]},
        "{}: the label 'been' is not in `classes`; did you mean 'bee'?",
    ),
    "class number too high": (
        "t.csv",
        b"image,name\na.jpg,0\nb.jpg,7\n",
        {**NAMED, "classes": ["ant", "bee"]},
        "{}: the label 7 points past the 2 names of `classes`: labels count from 0, name 8 classes",
    ),
    "UTF-16": ("t.csv", "image,caption\na.jpg,x\n".encode("utf-16"), CAPTION, "{} is UTF-16: save it as UTF-8"),
    "not Parquet": (
        "t.parquet",
        b"image,caption\na.jpg,x\n",
        CAPTION,
        "{} cannot be read as Parquet: Parquet magic bytes not found in footer. Either the file is corrupted or this "
        "is not a parquet file.",
    ),
    "not gzip": ("t.csv.gz", b"image\na.jpg\n", {}, "the manifest {} cannot be read: Not a gzipped file (b'im')"),
    "unknown suffix": (
        "t.txt",
        b"image\na.jpg\n",
        {},
        "{}: its name does not tell its format; end it in .csv, .tsv, .jsonl or .parquet, or set the option `format`",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_odd_manifest_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    file, content, options, message = ERRORS[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Manifest(path=str(path), **options)
    assert str(caught.value) == message.format(path)


def test_a_missing_manifest_and_a_folder(tmp_path: Path) -> None:
    for url in (f"{tmp_path}/no.csv", "memory://no/such.csv"):
        with pytest.raises(DataError, match=f"^there is no manifest {url}$"):
            Manifest(path=url)
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        Manifest(path=str(tmp_path / "t.csv"))


READABLE: dict[str, tuple[str, bytes, dict[str, Any], list[tuple[str, ...]]]] = {
    "byte order mark": ("t.csv", b"\xef\xbb\xbfimage,caption\na.jpg,x\n", {}, [("x",)]),
    "byte order mark in JSONL": ("t.jsonl", b'\xef\xbb\xbf{"image": "a", "caption": "x"}\n', {}, [("x",)]),
    "CRLF": ("t.csv", b'image,caption\r\na.jpg,x\r\nb.jpg,"y\r\nz"\r\n', {}, [("x",), ("y\r\nz",)]),
    "CR": ("t.csv", b"image,caption\ra.jpg,x\r", {}, [("x",)]),
    "no line end": ("t.csv", b"image,caption\na.jpg,x", {}, [("x",)]),
    "blank lines": ("t.csv", b"image,caption\n\na.jpg,x\n\n", {}, [("x",)]),
    "another separator": ("t.csv", b"image;caption\na.jpg;x,y\n", {"delimiter": ";"}, [("x,y",)]),
    "another suffix": ("t.txt", b"image\tcaption\na.jpg\tx\n", {"format": "tsv"}, [("x",)]),
    "spaces in the header": ("t.csv", b"image , caption\na.jpg,x\n", {}, [("x",)]),
    "two columns of a name": ("t.csv", b"image,caption,caption\na.jpg,x,y\n", {}, [("x",)]),
    "not UTF-8": ("t.csv", b"image,caption\na.jpg,caf\xe9\n", {}, [("caf\ufffd",)]),
    "not UTF-8 in JSONL": ("t.jsonl", b'{"image": "a", "caption": "caf\xe9"}\n', {}, [("caf\ufffd",)]),
    "half a surrogate pair": ("t.jsonl", b'{"image": "a", "caption": "x\\ud800y"}\n', {}, [("x?y",)]),
    "NUL": ("t.csv", b"image,caption\na.jpg,x\x00y\n", {}, [("x\x00y",)]),
    "an empty caption": ("t.csv", b"image,caption\na.jpg,\n", {}, [("",)]),
    "no caption": ("t.jsonl", b'{"image": "a", "caption": null}\n{"image": "b"}\n', {}, [("",), ("",)]),
    "a column that comes late": ("t.jsonl", b'{"image": "a"}\n{"image": "b", "caption": "x"}\n', {}, [("",), ("x",)]),
    "a huge caption": ("t.csv", b"image,caption\na.jpg," + b"x" * 1_000_000 + b"\n", {}, [("x" * 1_000_000,)]),
    "upper case": ("T.CSV", b"image,caption\na.jpg,x\n", {}, [("x",)]),
}


@pytest.mark.parametrize("name", READABLE)
def test_an_odd_manifest_that_can_be_read(name: str, tmp_path: Path) -> None:
    file, content, options, expected = READABLE[name]
    (tmp_path / file).write_bytes(content)
    data = Manifest(path=str(tmp_path / file), text="caption", **options)
    assert [data.texts(i) for i in range(len(data))] == expected


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        (["b", "a", "", "b"], [1, 0, -1, 1], ["a", "b"]),
        (["2", "0", "-1", "2"], [2, 0, -1, 2], ["0", "1", "2"]),
        (["2.0", "0.0", "nan", "2.0"], [2, 0, -1, 2], ["0", "1", "2"]),
        (["3a", "3", "", "null"], [1, 0, -1, -1], ["3", "3a"]),
        (["1.5", "2", "2", "2"], [0, 1, 1, 1], ["1.5", "2"]),
        (["", "", "", ""], [-1] * 4, []),
    ],
)
def test_labels_by_name_and_by_number(values: list[str], labels: list[int], classes: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,name\n" + "".join(f"/dev/null,{value}\n" for value in values))
    data = Manifest(path=str(tmp_path / "t.csv"), label="name", group=False)
    assert [data[i].label for i in range(4)] == labels
    assert data.classes == classes


def test_numbers_that_are_names_are_read_as_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,name\n/dev/null,7\n/dev/null,3\n")
    data = Manifest(path=str(tmp_path / "t.csv"), label="name", classes=["3", "7"], group=False)
    assert [data[i].label for i in range(2)] == [1, 0]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"image": [1, 2]}, {}, "the column 'image' holds int64, not paths or encoded images"),
        (
            {"img": ["a"]},
            {},
            "there is no column 'image', where images are looked for: name theirs by the option `image`; "
            "the columns are img",
        ),
        (
            {"img": ["a"]},
            {"image": "im"},
            "there is no column 'im', which the option `image` names; the columns are img",
        ),
        ({"image": ["a"], "caption": [1]}, CAPTION, "the column 'caption' holds int64, not texts or lists of texts"),
        ({"image": ["a"], "caption": [[1]]}, CAPTION, "the column 'caption' holds lists of int64, not of texts"),
        ({"image": ["a"], "name": [[1]]}, NAMED, "the column 'name' holds list<element: int64>, not class names"),
        ({"image": pa.array([], pa.string())}, {}, "holds no row"),
    ],
)
def test_parquet_of_other_types(columns: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet") as caught:
        Manifest(path=str(tmp_path / "t.parquet"), **options)
    assert message in str(caught.value)


def test_parquet_with_gaps(tmp_path: Path) -> None:
    table = pa.table({"image": ["null", None, "null"], "caption": ["x", None, "z"], "name": [1.0, None, None]})
    pq.write_table(table, tmp_path / "t.parquet")
    data = Manifest(path=str(tmp_path / "t.parquet"), text="caption", label="name", root="/dev")
    assert [data.texts(i) for i in range(len(data))] == [("x", "z"), ("",)]
    assert (data[0].label, data.classes) == (1, ["0", "1"])
    with pytest.raises(DataError, match="the row has no image"):
        data[1]


def test_parquet_with_dictionaries_and_large_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "image": pa.array(["a", "b"]).dictionary_encode(),
            "caption": pa.array([["x"], ["y", "z"]], pa.large_list(pa.large_string())),
            "name": pa.array(["ant", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    data = Manifest(path=str(tmp_path / "t.parquet"), text="caption", label="name", root="/dev")
    assert [data.texts(i) for i in range(2)] == [("x",), ("y", "z")]
    assert data.classes == ["ant"]


@pytest.mark.parametrize(("values", "options", "numbered"), [(["1", "0"], {}, True), (["b", "a"], {}, False)])
def test_numbers_without_names_are_known_as_such(
    values: list[str], options: dict[str, Any], numbered: bool, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("image,label\n" + "".join(f"{n}.png,{v}\n" for n, v in enumerate(values)))
    assert Manifest(path=str(tmp_path / "t.csv"), label="label", **options).numbered is numbered
    assert not Manifest(path=str(tmp_path / "t.csv"), label="label", classes=sorted(values)).numbered


def test_a_name_of_two_classes_labels_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\n0.png,crane\n1.png,bee\n")
    with pytest.raises(
        DataError, match="`classes` has 'crane' as the labels 0 and 2, and rows are labelled by that name"
    ):
        Manifest(path=str(tmp_path / "t.csv"), label="label", classes=["crane", "bee", "crane"])
    (tmp_path / "t.csv").write_text("image,label\n0.png,0\n1.png,2\n")
    by_number = Manifest(path=str(tmp_path / "t.csv"), label="label", classes=["crane", "bee", "crane"])
    assert by_number.labels() is not None
    assert np.array_equal(by_number.labels(), [0, 2])  # type: ignore[arg-type]


def test_given_names_and_the_data_s_own_must_agree() -> None:
    assert agreed(None, ["ant"], "it") == ["ant"]
    assert agreed(["ant", "bee"], ["ant"], "it") == ["ant", "bee"]
    with pytest.raises(DataError, match="it: the label 1 is 'bee' in the data and 'cat' in `classes`"):
        agreed(["ant", "cat"], ["ant", "bee"], "it")
