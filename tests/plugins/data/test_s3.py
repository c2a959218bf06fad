"""Every kind of source from a real S3 server, started here."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.config import conf

from vlc_core import DataError
from vlc_plugin_data.folder import Folder
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_data.tars import index_shards
from vlc_plugin_data.webdataset import WebDataset

MEMBERS = [(f"{i}.{ending}", f"{ending} {i}".encode() * 90) for i in range(12) for ending in ("jpg", "txt")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket ``pairs``, and s3:// URLs that mean it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setitem(conf, "s3", {"endpoint_url": endpoint, "use_listings_cache": False})
    store = fsspec.filesystem("s3")
    if store.exists("pairs"):
        store.rm("pairs", recursive=True)
    store.mkdir("pairs")
    return store


def test_shards(s3: Any, make_tar: Any, tmp_path: Path) -> None:
    for i in range(9):
        s3.put_file(make_tar(MEMBERS, f"{i:02d}.tar"), f"pairs/cc/{i:02d}.tar")
    local = WebDataset(path=f"{tmp_path}/*.tar")
    ranged, globbed = WebDataset(path="s3://pairs/cc/{00..08}.tar"), WebDataset(path="s3://pairs/cc/*.tar")
    assert len(ranged) == len(globbed) == len(local) == 108
    assert [ranged[i] for i in range(0, 108, 5)] == [local[i] for i in range(0, 108, 5)]
    assert globbed[107] == local[107]
    assert not s3.glob("pairs/cc/*index*")  # training writes nothing into a store
    with pytest.raises(DataError, match=r"there is no shard s3://pairs/cc/09.tar"):
        WebDataset(path="s3://pairs/cc/{00..09}.tar")


def test_indexes_stand_beside_their_shards_on_request(s3: Any, make_tar: Any, shard_cache: Path) -> None:
    s3.put_file(make_tar(MEMBERS), "pairs/0.tar")
    (shard,) = index_shards("s3://pairs/0.tar")
    assert (shard.made, shard.place) == (True, "s3://pairs/0.tar.vlc-index")
    assert not any(shard_cache.glob("*.vlc-index"))
    assert not index_shards("s3://pairs/0.tar")[0].made
    s3.put_file(make_tar(MEMBERS[:6]), "pairs/0.tar")  # written anew
    assert len(WebDataset(path="s3://pairs/0.tar")) == 3


def test_folders_and_tables(s3: Any, tmp_path: Path) -> None:
    for name in ("ant/0.jpg", "bee/0.jpg", "bee/1.jpg"):
        s3.pipe_file(f"pairs/set/{name}", name.encode())
    s3.pipe_file("pairs/table.csv", b"image,text\nset/bee/1.jpg,a bee\nset/none.jpg,none\n")
    folder, manifest = Folder(path="s3://pairs/set"), Manifest(path="s3://pairs/table.csv", text="text")
    assert [(folder[i].image, folder[i].label) for i in range(3)] == [
        (b"ant/0.jpg", 0),
        (b"bee/0.jpg", 1),
        (b"bee/1.jpg", 1),
    ]
    assert (manifest[0].image, manifest[0].texts) == (b"bee/1.jpg", ("a bee",))
    with pytest.raises(DataError, match="there is no file"):
        manifest[1]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_workers_open_connections_of_their_own(s3: Any, make_tar: Any) -> None:
    s3.put_file(make_tar(MEMBERS), "pairs/w.tar")
    data = WebDataset(path="s3://pairs/w.tar")
    first = data[0]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(data.__getitem__, [0, 0, 0, 0]) == [first] * 4
