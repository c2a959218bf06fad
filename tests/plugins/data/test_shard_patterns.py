"""What a path of shards stands for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import fsspec
import pytest

from vlc_core import DataError
from vlc_plugin_data.tars.pattern import expand, shard_urls


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{00..02}.tar", ["00.tar", "01.tar", "02.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{098..100}", ["098", "099", "100"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("s3://b/{0..1}.tar::x", ["s3://b/0.tar::x", "s3://b/1.tar::x"]),
        ("{a{0..1},b}", ["aa", "ab"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    if pattern == "{a{0..1},b}":  # the inner one first
        names = ["a0", "b", "a1", "b"]
    assert expand(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{0..2", "opened and not closed"),
        ("{0-2}.tar", "is no range"),
        ("{}.tar", "is no range"),
        ("{0..99999999}.tar", "more than 1,000,000 shards"),
        ("{0..9999}{0..9999}.tar", "more than 1,000,000 shards"),
        ("pipe:cat 0.tar", "commands are not run"),
        ([], "empty list"),
    ],
)
def test_what_is_refused(pattern: str | list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        shard_urls(pattern)


def test_lists_and_globs_name_each_shard_once(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar", "c.txt"):
        (tmp_path / name).touch()
    a, b = f"{tmp_path}/a.tar", f"{tmp_path}/b.tar"
    assert shard_urls([b, f"{tmp_path}/*.tar"]) == [b, a]
    assert shard_urls(f"file://{tmp_path}/*.tar") == [f"file://{a}", f"file://{b}"]
    with pytest.raises(DataError, match=r"\*\.zip matches no shard"):
        shard_urls(f"{tmp_path}/*.zip")


def test_globs_in_stores_and_archives(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/patterns/a.tar", b"")
    assert shard_urls("memory://patterns/*.tar") == ["memory:///patterns/a.tar"]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("x/0.tar", b"")
    chained = f"zip://x/*.tar::{tmp_path}/z.zip"
    assert shard_urls(chained) == [f"zip://x/0.tar::{tmp_path}/z.zip"]
    assert io.BytesIO(fsspec.open(shard_urls(chained)[0]).open().read()).getvalue() == b""
