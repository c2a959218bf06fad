"""Labels told ahead, which class-balanced sampling needs, are those that the samples have."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vlc_core import Dataset
from vlc_plugin_data.digits import Digits
from vlc_plugin_data.folder import Folder
from vlc_plugin_data.manifest import Manifest


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")
    return file.getvalue()


def assert_told(data: Dataset) -> list[int]:
    told = data.labels()
    assert told is not None
    assert told.tolist() == [data[index].label for index in range(len(data))]
    assert np.issubdtype(told.dtype, np.integer)
    return list(told.tolist())


def test_digits_tell_their_labels() -> None:
    assert sorted(set(assert_told(Digits(split="test")))) == list(range(10))


def test_folders_tell_their_labels(tmp_path: Path) -> None:
    for name in ("ant/1.png", "bee/1.png", "bee/deep/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture())
    assert assert_told(Folder(path=str(tmp_path))) == [0, 1, 1]


def test_tables_tell_the_labels_of_images_with_several_rows(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(picture())
    table = tmp_path / "table.csv"
    table.write_text("image,text,kind\na.png,one,ant\nb.png,two,bee\na.png,three,\nc.png,four,\nb.png,five,bee\n")
    assert assert_told(Manifest(path=str(table), text="text", label="kind")) == [0, 1, -1]
    assert assert_told(Manifest(path=str(table), text="text", label="kind", group=False)) == [0, 1, -1, -1, 1]
    assert Manifest(path=str(table), text="text").labels() is None
