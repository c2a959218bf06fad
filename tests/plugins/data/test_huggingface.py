"""Datasets of the Hugging Face library from folders, and what is said where there is no hub."""

from __future__ import annotations

import io
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlc_core import DataError
from vlc_plugin_data.huggingface import HuggingFace

datasets.disable_progress_bars()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hub"))


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """Three rows in two splits, as ``save_to_disk`` writes them."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "others": datasets.Sequence(datasets.Value("string")),
            "kind": datasets.ClassLabel(names=["bee", "ant"]),
        }
    )
    rows: dict[str, list[Any]] = {
        "image": [{"bytes": png(i), "path": f"{i}.png"} for i in range(2)] + [None],
        "caption": ["a", "b", "c"],
        "others": [["x", "y"], [], None],
        "kind": [1, 0, -1],
    }
    train = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": train, "test": train.select([1])}).save_to_disk(str(tmp_path / "saved"))
    return str(tmp_path / "saved")


def test_a_saved_dataset(saved: str) -> None:
    data = HuggingFace(path=saved, text=["caption", "others"], label="kind")
    assert (len(data), data.classes) == (3, ["bee", "ant"])
    assert (data[0].image, data[0].texts, data[0].label) == (png(0), ("a", "x", "y"), 1)
    assert (data[1].texts, data.texts(2)) == (("b",), ("c", ""))
    labels = data.labels()
    assert labels is not None
    assert labels.tolist() == [1, 0, -1]
    with pytest.raises(DataError, match="the row has no image"):
        data[2]
    assert len(HuggingFace(path=saved, split="test")) == 1


def test_images_stay_encoded(saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    assert HuggingFace(path=saved)[1].image == png(1)


def test_a_folder_of_parquet(tmp_path: Path) -> None:
    table = pa.table({"pic": [png(0), png(1)], "name": ["ant", ""]})
    (tmp_path / "set").mkdir()
    pq.write_table(table, tmp_path / "set" / "train-0.parquet")
    data = HuggingFace(path=str(tmp_path / "set"), image="pic", label="name")
    assert (data[1].image, data[1].label, data.classes) == (png(1), -1, ["ant"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tests"}, r"no split 'tests'; its splits are train, test; did you mean 'test'"),
        ({"image": "imag"}, r"no column 'imag', which the option `image` names.*did you mean 'image'"),
        ({"text": "captions"}, r"the option `text` names.*did you mean 'caption'"),
        ({"image": "caption"}, r"'caption' holds .*string.*not images"),
        ({"label": "kind", "classes": ["one"]}, "is .bee. in the data and .one. in `classes`"),
        ({"hub": "a/b"}, "either `hub`.*or `path`"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str, saved: str) -> None:
    with pytest.raises(DataError, match=message):
        HuggingFace(path=saved, **options)


def test_no_folder_and_no_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        HuggingFace(path=str(tmp_path / "none"))
    with pytest.raises(DataError, match="either `hub`"):
        HuggingFace()


def test_code_of_a_dataset_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(DataError):
        HuggingFace(path=str(tmp_path / "set"))
    assert not (tmp_path / "ran").exists()


def test_without_a_network_the_hub_says_so_in_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    with pytest.raises(DataError, match=rf"some/thing is not in the cache.*{port} does not answer"):
        HuggingFace(hub="some/thing")
    assert time.monotonic() - began < 20


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, saved: str) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'vlc-plugin-data\[huggingface\]'"):
        HuggingFace(path=saved)


def test_files_with_captions(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.png").write_bytes(png(0))
    (tmp_path / "train" / "metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "text": "red"}) + "\n")
    data = HuggingFace(path=str(tmp_path), text="text")
    assert (data[0].image, data[0].texts) == (png(0), ("red",))
