"""Stores with faults: those that pass are waited out, others end at once, and nothing read is ever wrong."""

from __future__ import annotations

import errno
import http.server
import itertools
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientConnectionError, ClientPayloadError
from botocore.exceptions import ClientError, EndpointConnectionError

from vlc_core import DataError
from vlc_core.errors import StorageError
from vlc_plugin_data import retries
from vlc_plugin_data.folder import Folder
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_data.retries import Patience, passes, patiently
from vlc_plugin_data.stores import read, read_range
from vlc_plugin_data.webdataset import WebDataset

FAST = Patience(attempts=4, first=0.001)
MEMBERS = [(f"{i}.{ending}", f"{ending} {i}".encode() * 90) for i in range(30) for ending in ("jpg", "txt")]


class Status(Exception):
    """As HTTP clients raise it."""

    def __init__(self, status: int) -> None:
        self.status = status


def boto(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


PASSING = [
    *(ConnectionResetError(), TimeoutError(), BrokenPipeError(), OSError(errno.EIO, "io"), OSError(errno.EBUSY, "503")),
    *(Status(500), Status(503), Status(429), Status(408), boto(500), boto(503)),
    *(ClientConnectionError(), ClientPayloadError(), EndpointConnectionError(endpoint_url="http://x")),
]
LASTING = [
    *(FileNotFoundError(), PermissionError(), IsADirectoryError(), ValueError(), KeyError(), OSError(errno.ENOSPC, "")),
    *(Status(403), Status(404), Status(401), boto(403), boto(404), MemoryError(), KeyboardInterrupt()),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_faults_that_pass_are_waited_out(error: Exception) -> None:
    assert passes(error)
    faults = [error, error]

    def operation() -> str:
        if faults:
            raise faults.pop()
        return "answer"

    assert patiently(operation, "x", patience=FAST) == "answer"


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_other_errors_end_at_once(error: BaseException) -> None:
    attempts = []

    def operation() -> None:
        attempts.append(1)
        raise error

    with pytest.raises(OSError if isinstance(error, ClientError) else type(error)):
        patiently(operation, "x", patience=FAST)
    assert len(attempts) == 1


def test_pauses_grow_and_differ() -> None:
    patience = Patience(attempts=9, first=0.2, longest=3.0)
    pauses = list(patience.pauses())
    bounds = [min(0.2 * 2**i, 3.0) for i in range(8)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert pauses != list(patience.pauses())
    assert 10 < sum(Patience().pauses()) < 30  # a restart of a server, and not a night


def test_a_store_that_stays_down(flaky: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    flaky.faults[:] = [ConnectionResetError("reset by peer")] * 100
    with pytest.raises(
        StorageError, match=r"flaky://.*x could not be read in 4 attempts over 0 s.*reset by peer.*--resu"
    ):
        read_range(f"flaky://{tmp_path}/x", 0, 7)
    assert len(flaky.requests) == 4


def test_short_reads_are_asked_again_and_short_files_are_not(flaky: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    url = f"flaky://{tmp_path}/x"
    flaky.faults[:] = [3, None, TimeoutError()]  # three bytes; then the size is asked; a fault; then all is well
    assert read_range(url, 1, 7) == b"ontent"
    assert flaky.requests == ["cat 1 7", "info", "cat 1 7", "cat 1 7"]
    with pytest.raises(DataError, match="ends at byte 7 where 9 were expected"):
        read_range(url, 0, 9)
    with pytest.raises(DataError, match="there is no file"):
        read_range(f"flaky://{tmp_path}/y", 0, 9)
    with pytest.raises(DataError, match="there is no file y in flaky://"):
        read("y", root=f"flaky://{tmp_path}")


def _faults(seed: int) -> Iterator[Any]:
    """No more than three in a row."""
    rng = random.Random(seed)
    for _ in itertools.count():
        kinds = [ConnectionResetError(), TimeoutError(), Status(503), OSError(errno.EIO, "io")]
        yield from rng.choices(kinds, k=rng.randint(0, 3))
        yield None


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_are_those_of_a_sound_store(
    seed: int, flaky: Any, make_tar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        retries, "PATIENCE", Patience(attempts=20, first=1e-4)
    )  # threads share the faults while opening
    for name in ("a.tar", "b.tar"):
        make_tar(MEMBERS, name)
    sound = WebDataset(path=f"{tmp_path}/*.tar")
    flaky.faults[:] = list(itertools.islice(_faults(seed), 400))
    shaky = WebDataset(path=[f"flaky://{tmp_path}/{name}.tar" for name in "ab"])
    order = np.random.default_rng(seed).permutation(60)
    assert [shaky[i] for i in order] == [sound[i] for i in order]
    assert len(flaky.requests) > 100


def test_neighbours_in_a_store_are_read_at_once(flaky: Any, make_tar: Any) -> None:
    path = make_tar(MEMBERS)
    local, far = WebDataset(path=path), WebDataset(path=f"flaky://{path}")
    flaky.requests.clear()
    block = [far[i] for i in range(3, 19)]
    assert block == [local[i] for i in range(3, 19)]
    assert len(flaky.requests) == 2  # the first of a block of 16, and all others
    rest = [far[i] for i in range(19, 30)]
    assert rest == [local[i] for i in range(19, 30)]
    assert len(flaky.requests) == 3
    assert [far[i] for i in (29, 0, 7, 3)] == [local[i] for i in (29, 0, 7, 3)]
    assert [far[i] for i in range(30)] == [local[i] for i in range(30)]


def test_every_kind_of_source_reads_through_faults(flaky: Any, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.jpg").write_bytes(b"meow")
    (tmp_path / "t.csv").write_text("image\ncat/0.jpg\n")
    flaky.faults[:] = [TimeoutError(), TimeoutError()]
    folder = Folder(path=f"flaky://{tmp_path}")
    flaky.faults[:] = [TimeoutError(), TimeoutError()]
    manifest = Manifest(path=f"flaky://{tmp_path}/t.csv")
    for data in (folder, manifest):
        flaky.faults[:] = [ConnectionResetError(), Status(500)]
        assert data[0].image == b"meow"
        flaky.faults[:] = [ConnectionResetError()] * 9
        with pytest.raises(StorageError):
            data[0]
        flaky.faults[:] = []


class _Web(http.server.BaseHTTPRequestHandler):
    """Files by HTTP, with ranges where the path does not say ``whole``; the first answers are faults."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    faults: list[int] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.files.get(self.path)
        if self.faults or content is None:
            self.send_error(self.faults.pop(0) if self.faults else 404)
            return
        wanted = self.headers.get("Range") if "whole" not in self.path else None
        part = content
        if wanted:
            start, _, stop = wanted.removeprefix("bytes=").partition("-")
            part = content[int(start) : int(stop) + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", "one")
        self.end_headers()
        if body:
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_shards_on_the_web(web: str, flaky: Any, make_tar: Any) -> None:
    path = make_tar(MEMBERS)
    _Web.files = {"/0.tar": Path(path).read_bytes(), "/whole.tar": Path(path).read_bytes()}
    _Web.faults = [503, 500]
    data, local = WebDataset(path=f"{web}/0.tar"), WebDataset(path=path)
    _Web.faults = [502, 503]
    assert [data[i] for i in range(30)] == [local[i] for i in range(30)]
    _Web.faults = [403]
    with pytest.raises(DataError, match="cannot be read"):
        data[0]
    with pytest.raises(DataError, match=r"there is no shard .*/1.tar"):
        WebDataset(path=f"{web}/{{0..1}}.tar")
    whole = WebDataset(path=f"{web}/whole.tar")
    with pytest.raises(StorageError, match="sends the whole file where a part of it is asked for"):
        whole[0]
