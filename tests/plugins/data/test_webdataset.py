"""Tar shards: samples, captions, labels, where indexes are kept, and that they notice change."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from vlc_core import DataError, Sample
from vlc_plugin_data import stores, webdataset
from vlc_plugin_data.tars import index_shards
from vlc_plugin_data.webdataset import WebDataset


def captioned(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    """Samples as img2dataset writes them."""
    members = []
    for i in range(start, start + count):
        members += [
            (f"{i:05d}.jpg", f"image {i}".encode()),
            (f"{i:05d}.json", json.dumps({"caption": f"text {i}", "width": 3}).encode()),
            (f"{i:05d}.txt", f"text {i}".encode()),
        ]
    return members


def samples(data: WebDataset) -> list[Sample]:
    return [data[i] for i in range(len(data))]


def test_samples_of_several_shards(make_tar: Any, tmp_path: Path) -> None:
    make_tar(captioned(3), "00000.tar")
    make_tar(captioned(2, start=3), "00001.tar")
    data = WebDataset(path=f"{tmp_path}/{{00000..00001}}.tar")
    assert samples(data) == [
        Sample(f"image {i}".encode(), (f"text {i}",), -1, f"0000{i // 3}/{i:05d}") for i in range(5)
    ]
    assert (data.texts(4), data.classes, data.labels(), list(data.shards)) == (("text 4",), None, None, [3, 2])


def test_the_same_key_in_two_shards_is_two_images(make_tar: Any, tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        make_tar(captioned(1), name)
    assert [sample.key for sample in samples(WebDataset(path=f"{tmp_path}/*.tar"))] == ["a/00000", "b/00000"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"txt": b"plain"}, ("plain",)),
        ({"json": {"captions": ["one", "two"]}, "txt": b"plain"}, ("one", "two")),
        ({"json": {"captions": []}, "txt": b"plain"}, ("plain",)),
        ({"json": {"caption": "c", "captions": None}}, ("c",)),
        ({"json": {"captions": "alone"}}, ("alone",)),
        ({"json": {"captions": ["", 3, "x"]}}, ("", "x")),
        ({"json": {"captions": ["\ud83d half"]}}, ("? half",)),
        ({"txt": b"\xef\xbb\xbfmark\r\n"}, ("mark",)),
        ({"txt": b"caf\xe9"}, ("caf\ufffd",)),
        ({"txt": b""}, ("",)),
        ({}, ()),
    ],
)
def test_captions(texts: dict[str, Any], expected: tuple[str, ...], make_tar: Any) -> None:
    members = [(f"0.{ending}", v if isinstance(v, bytes) else json.dumps(v).encode()) for ending, v in texts.items()]
    data = WebDataset(path=make_tar([("0.jpg", b"i"), *members]))
    assert data[0].texts == data.texts(0) == expected


def test_captions_under_another_key(make_tar: Any) -> None:
    members = [("0.png", b"i"), ("0.json", b'{"alt": ["a", "b"], "captions": ["c"]}')]
    assert WebDataset(path=make_tar(members), captions="alt").texts(0) == ("a", "b")


@pytest.mark.parametrize(
    ("values", "classes", "names", "labels"),
    [
        (["2", "0", "2"], None, ["0", "1", "2"], [2, 0, 2]),
        (["bee", "ant", ""], None, ["ant", "bee"], [1, 0, -1]),
        (["1", "0", None], ["ant", "bee"], ["ant", "bee"], [1, 0, -1]),
        (["bee\n", "bee", "-1"], ["ant", "bee"], ["ant", "bee"], [1, 1, -1]),
    ],
)
def test_labels(values: list[str | None], classes: Any, names: list[str], labels: list[int], make_tar: Any) -> None:
    members = [(f"{i}.jpg", b"i") for i in range(3)]
    members += [(f"{i}.cls", value.encode()) for i, value in enumerate(values) if value is not None]
    data = WebDataset(path=make_tar(members), classes=classes)
    assert (data.classes, [sample.label for sample in samples(data)]) == (names, labels)
    found = data.labels()
    assert found is not None
    assert found.tolist() == labels


def test_a_label_beyond_the_classes(make_tar: Any) -> None:
    with pytest.raises(DataError, match=r"label 7 points past the 2 names"):
        WebDataset(path=make_tar([("0.jpg", b"i"), ("0.cls", b"7")]), classes=["a", "b"])


def test_neighbours_are_one_read_and_strangers_two(make_tar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    near = make_tar([("0.jpg", b"i" * 600), ("0.txt", b"t")], "near.tar")
    far = make_tar([("0.jpg", b"i" * 600), ("1.jpg", b"j" * 200_000), ("0.txt", b"t"), ("1.txt", b"u")], "far.tar")
    reads: list[tuple[int, int]] = []
    real = stores.read_range

    def counted(url: str, start: int, stop: int) -> bytes:
        reads.append((start, stop))
        return real(url, start, stop)

    monkeypatch.setattr(webdataset, "read_range", counted)
    one, two = WebDataset(path=near), WebDataset(path=far)
    assert (one[0].image, one[0].texts) == (b"i" * 600, ("t",))
    assert len(reads) == 2
    assert two[0].texts == ("t",)
    assert len(reads) == 4
    assert one.texts(0) == ("t",)
    assert reads[-1][1] - reads[-1][0] == 1  # the caption alone


def test_indexes_stand_beside_their_shards(make_tar: Any, tmp_path: Path, shard_cache: Path) -> None:
    path = make_tar(captioned(2))
    (shard,) = index_shards(path)
    assert (shard.made, shard.place, shard.facts and shard.facts.samples) == (True, f"{path}.vlc-index", 2)
    assert not index_shards(path)[0].made
    assert index_shards(path, again=True)[0].made
    assert Path(shard.place).stat().st_size < 4_000


def test_indexes_go_into_the_cache_where_the_folder_is_read_only(
    make_tar: Any, tmp_path: Path, shard_cache: Path
) -> None:
    path = make_tar(captioned(2))
    tmp_path.chmod(0o555)
    try:
        (shard,) = index_shards(path)
        assert Path(shard.place).parent == shard_cache
        assert not index_shards(path)[0].made
        assert len(WebDataset(path=path)) == 2
    finally:
        tmp_path.chmod(0o755)
    assert os.listdir(tmp_path) == ["0.tar"]


@pytest.mark.parametrize("damage", [b"", b"junk", "cut", "version"])
def test_a_damaged_index_is_made_anew(damage: bytes | str, make_tar: Any, shard_cache: Path) -> None:
    path = make_tar(captioned(2))
    index = Path(index_shards(path)[0].place)
    whole = index.read_bytes()
    cut = {"cut": whole[: len(whole) // 2], "version": whole.replace(b'"version": 1', b'"version": 0')}
    index.write_bytes(cut[damage] if isinstance(damage, str) else damage)
    assert samples(WebDataset(path=path))[1].texts == ("text 1",)
    assert index.read_bytes() == whole


def test_a_shard_written_anew_is_indexed_anew(make_tar: Any) -> None:
    path = make_tar(captioned(2))
    make_tar(captioned(200))
    stale = WebDataset(path=path)
    make_tar(captioned(1))
    assert len(WebDataset(path=path)) == 1
    with pytest.raises(DataError, match="cut or written anew"):
        stale[199]


def test_progress_is_told(make_tar: Any, tmp_path: Path) -> None:
    for i in range(3):
        make_tar(captioned(1), f"{i}.tar")
    told: list[tuple[int, int]] = []
    shards = index_shards(f"{tmp_path}/*.tar", progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [Path(shard.url).name for shard in shards] == ["0.tar", "1.tar", "2.tar"]


def test_other_processes_map_the_same_file(make_tar: Any) -> None:
    data = WebDataset(path=make_tar(captioned(200)))
    state = pickle.dumps(data)
    assert len(state) < 3_000
    assert samples(pickle.loads(state)) == samples(data)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(data.__getitem__, [5, 199]) == [data[5], data[199]]


def test_processes_that_start_together_index_once(make_tar: Any, tmp_path: Path) -> None:
    for i in range(4):
        make_tar(captioned(20), f"{i}.tar")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map(_length, [f"{tmp_path}/*.tar"] * 4) == [80] * 4
    assert sorted(p.name for p in tmp_path.iterdir() if "index" in p.name) == [f"{i}.tar.vlc-index" for i in range(4)]


def _length(path: str) -> int:
    return len(WebDataset(path=path))


def test_stores_and_archives(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in captioned(3):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    fsspec.filesystem("memory").pipe_file("/shards/0.tar", buffer.getvalue())
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("0.tar", buffer.getvalue())
    for url in ("memory://shards/*.tar", f"zip://0.tar::{tmp_path}/z.zip", f"zip://*.tar::file://{tmp_path}/z.zip"):
        data = WebDataset(path=url)
        assert [sample.texts for sample in samples(data)] == [("text 0",), ("text 1",), ("text 2",)], url
    (shard,) = index_shards("memory://shards/0.tar")
    assert shard.place == "memory://shards/0.tar.vlc-index" or not shard.made


def test_real_shards(shared_data: Path) -> None:
    data = WebDataset(path=str(shared_data / "flickr8k_wds" / "{00000..00005}.tar"))
    assert len(data) == 6091
    assert len({data[i].key for i in range(0, 6091, 7)}) == len(range(0, 6091, 7))
    for index in (0, 1024, 6090):
        sample = data[index]
        assert len(sample.texts) == 5
        assert isinstance(sample.image, bytes)
        assert np.asarray(Image.open(io.BytesIO(sample.image))).shape == (96, 96, 3)
    with tarfile.open(shared_data / "flickr8k_wds" / "00003.tar") as tar:
        names = tar.getnames()[:3]
        member = tar.extractfile(next(name for name in names if name.endswith(".jpg")))
        assert member is not None
        assert data[3 * 1024].image == member.read()
        assert data[3 * 1024].key == f"00003/{names[0].partition('.')[0]}"
