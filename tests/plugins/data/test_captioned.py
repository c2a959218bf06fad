"""COCO's caption files and Karpathy's split files, made from real captions and made wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import fsspec
import pytest

from vlc_core import DataError, Dataset, Sample
from vlc_plugin_data.captioned.coco import CocoCaptions
from vlc_plugin_data.captioned.karpathy import Karpathy

COCO = {
    "info": {"year": 2017},
    "images": [
        {"id": 7, "file_name": "7.jpg", "height": 1, "width": 1},
        {"id": 3, "file_name": "3.jpg"},
        {"id": 9, "file_name": "9.jpg"},
    ],
    "annotations": [
        {"id": 12, "image_id": 7, "caption": "second \ud83d"},
        {"id": 11, "image_id": 7, "caption": " first\n"},
        {"id": 10, "image_id": 3, "caption": "third"},
    ],
}
SPLITS = {
    "images": [
        {"filename": "a.jpg", "filepath": "val2014", "split": "test", "sentences": [{"raw": "A"}, {"raw": "AA"}]},
        {"filename": "b.jpg", "filepath": "train2014", "split": "restval", "sentences": [{"raw": "B"}]},
        {"filename": "c.jpg", "split": "train", "sentences": [{"raw": "C", "tokens": ["c"]}]},
    ],
    "dataset": "coco",
}


def write(folder: Path, content: Any, name: str = "file.json") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def samples(data: Dataset) -> list[Sample]:
    return [data[i] for i in range(len(data))]


def test_coco(tmp_path: Path) -> None:
    for name in ("7.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    data = CocoCaptions(path=write(tmp_path, COCO), images=str(tmp_path))
    expected = [Sample(b"7.jpg", ("first", "second ?"), -1, "7.jpg"), Sample(b"3.jpg", ("third",), -1, "3.jpg")]
    assert samples(data) == samples(pickle.loads(pickle.dumps(data))) == expected
    (tmp_path / "3.jpg").unlink()
    assert data.texts(1) == ("third",)
    with pytest.raises(DataError, match=r"there is no file 3\.jpg"):
        data[1]


@pytest.mark.parametrize(
    ("split", "keys"),
    [("test", ["val2014/a.jpg"]), (["train", "restval"], ["train2014/b.jpg", "c.jpg"])],
)
def test_karpathy(split: Any, keys: list[str], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for key in keys:
        memory.pipe_file(f"/images/{key}", key.encode())
    data = Karpathy(path=write(tmp_path, SPLITS), images="memory://images", split=split)
    assert [(sample.key, sample.image) for sample in samples(data)] == [(key, key.encode()) for key in keys]
    assert data.texts(0) == (("A", "AA") if split == "test" else ("B",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"[" * 99_999, "is not JSON"),
        (b"[]", "no list 'images'; its keys are none"),
        ({"categories": []}, "no list 'images'; its keys are categories"),
        ({"images": {}}, "no list 'images'"),
        ({"images": [], "annotations": []}, "no image has a caption"),
        (COCO | {"annotations": [{"bbox": [], "image_id": 7}]}, "hold no 'caption' but bbox, image_id: use captions_"),
        (COCO | {"images": [{"id": 7}]}, "image 7 has no 'file_name'"),
        (SPLITS, "no list 'annotations'"),
    ],
    ids=range(9),
)
def test_other_files_than_coco_s(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        CocoCaptions(path=write(tmp_path, content), images=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "split", "message"),
    [
        (SPLITS, "tests", "no split 'tests'; its splits are restval, test, train; did you mean 'test'"),
        (SPLITS, ["train", "val"], "no split 'val'"),
        (SPLITS, [], "empty list"),
        ({"images": []}, "test", "its splits are none"),
        ({"images": [{"split": "test"}]}, "test", "has no 'filename'"),
        (COCO, "test", "its splits are none"),
    ],
    ids=range(6),
)
def test_other_files_than_karpathy_s(content: Any, split: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        Karpathy(path=write(tmp_path, content), images=str(tmp_path), split=split)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.json.*check the option `path`"):
        CocoCaptions(path=str(tmp_path / "no.json"), images=str(tmp_path))


def test_real_images(shared_data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "coco_mini" / "pairs.jsonl").read_text().splitlines()]
    coco = {
        "images": [{"id": row["coco_id"], "file_name": Path(row["image"]).name} for row in rows],
        "annotations": [
            {"id": number, "image_id": row["coco_id"], "caption": text}
            for row in rows
            for number, text in zip(row["caption_ids"], row["captions"], strict=True)
        ],
    }
    data = CocoCaptions(path=write(tmp_path, coco), images=str(shared_data / "coco_mini" / "images"))
    assert len(data) == 111
    assert {len(data.texts(i)) for i in range(111)} == {5}
    first = data[0].image
    assert isinstance(first, bytes)
    assert first[:2] == b"\xff\xd8"
