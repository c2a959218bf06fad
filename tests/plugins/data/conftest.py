"""What tests of datasets share: tars made to order, a store with faults, a cache of their own."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from vlc_plugin_data import retries

Members = Sequence[tuple[str, bytes]]
MakeTar = Callable[..., str]


@pytest.fixture(autouse=True)
def shard_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where indexes go that cannot stand beside their shards."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VLC_CACHE", str(folder))
    return folder / "shards"


def tar_bytes(members: Members, *, format: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def make_tar(tmp_path: Path) -> MakeTar:
    """Writes a tar of ``members`` as ``name``; its path."""

    def make(members: Members, name: str = "0.tar", *, format: int = tarfile.USTAR_FORMAT) -> str:
        path = tmp_path / name
        path.write_bytes(tar_bytes(members, format=format))
        return str(path)

    return make


class FlakyFileSystem(LocalFileSystem):
    """The local file system, where requests fail as :attr:`faults` says, first the first."""

    protocol = "flaky"
    cachable = False
    faults: ClassVar[list[Any]] = []  # an exception to raise, a number of bytes to send at most, or None for none
    requests: ClassVar[list[str]] = []

    def _fault(self, what: str) -> Any:
        self.requests.append(what)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, BaseException):
            raise fault
        return fault

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        fault = self._fault(f"cat {start} {end}")
        content: bytes = super().cat_file(path, start, end, **options)
        return content if fault is None else content[:fault]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self._fault("info")
        found: dict[str, Any] = super().info(path, **options)
        return found

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:
        self._fault("ls")
        return super().ls(path, detail, **options)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FlakyFileSystem]]:
    """``flaky:///path`` is the file at /path, behind faults; pauses between attempts are short."""
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    monkeypatch.setattr(retries, "PATIENCE", retries.Patience(attempts=4, first=0.001))
    FlakyFileSystem.faults, FlakyFileSystem.requests = [], []
    yield FlakyFileSystem
    FlakyFileSystem.faults = []
