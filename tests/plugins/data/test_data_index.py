"""``vlc data index``, and what ``vlc data inspect`` says of tars."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlc_cli.main import run

Told = Callable[..., tuple[int, str, str]]


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tars of four pairs each; the last holds a repeated member, a lone text and a pickle too."""
    monkeypatch.setenv("VLC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tars"
    folder.mkdir()
    for shard in range(3):
        members = []
        for i in range(4):
            members += [(f"{i}.jpg", picture(4 * shard + i)), (f"{i}.txt", f"picture {i} of {shard}".encode())]
        if shard == 2:
            members += [("3.jpg", picture(200)), ("4.txt", b"no picture"), ("5.pkl", b"cos")]
        write_tar(folder / f"{shard:05d}.tar", members)
    return folder


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command: its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["data", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def index_json(told: Told, *arguments: object) -> dict[str, Any]:
    _, out, _ = told("index", *arguments, "--json")
    (source,) = json.loads(out)["sources"]
    found: dict[str, Any] = source
    return found


def test_indexes_are_made_once_and_again_when_forced(shards: Path, told: Told) -> None:
    code, out, err = told("index", shards)
    assert (code, err) == (0, "")
    for line in [
        str(shards),
        "shards         3",
        "samples        12",
        "indexes        3 made, 0 there already, 0 failed",
        "kept           3 beside their shards",
        "in the shards  1 members of a key and kind that came before; 1 keys without an image",
        "not read       members ending in .pkl 1",
    ]:
        assert line in out.splitlines(), line
    assert "indexes        0 made, 3 there already" in told("index", shards)[1]
    assert "indexes        3 made, 0 there already" in told("index", shards, "--force")[1]


def test_what_was_stopped_goes_on_where_it_was(shards: Path, told: Told) -> None:
    assert index_json(told, shards / "00001.tar")["made"] == 1
    found = index_json(told, f"{shards}/{{00000..00002}}.tar", "--workers", 2)
    assert [shard["made"] for shard in found["shards"]] == [True, False, True]


def test_shards_that_changed_are_indexed_anew(shards: Path, told: Told) -> None:
    index_json(told, shards)
    write_tar(shards / "00001.tar", [("a.jpg", picture(0)), ("a.txt", b"only one")])
    found = index_json(told, shards)
    assert [shard["made"] for shard in found["shards"]] == [False, True, False]
    assert found["samples"] == 9


def test_bad_shards_are_listed_and_end_with_3(shards: Path, told: Told) -> None:
    cut = shards / "00000.tar"
    cut.write_bytes(cut.read_bytes()[:3_000])
    (shards / "00001.tar").write_bytes(b"hello" * 1_000)
    code, out, err = told("index", f"{shards}/{{00000..00003}}.tar")
    assert code == 3
    assert "2 made, 0 there already, 2 failed" in out
    rows = out.partition("broken")[2]
    assert f"{shards}/00000.tar   breaks off at byte" in rows
    assert f"{shards}/00001.tar   the shard {shards}/00001.tar is no tar" in rows
    assert f"there is no shard {shards}/00003.tar" in rows
    assert err.count("\n") == 1
    assert "2 of 4 shards have no index" in err
    found = index_json(told, f"{shards}/{{00000..00003}}.tar")
    assert (found["bad"], found["broken_off"]) == (2, 1)
    assert [bool(shard["error"]) for shard in found["shards"]] == [False, True, False, True]


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("digits", 2, "only tars of the dataset webdataset have an index"),
        ("nowhere/*.tar", 3, "matches no shard"),
        ("pipe:echo x.tar", 3, "commands are not run"),
    ],
)
def test_what_has_no_index_is_one_sentence(source: str, code: int, message: str, told: Told) -> None:
    found, out, err = told("index", source)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert message in err


def test_an_inspection_of_tars_says_what_their_indexes_say(shards: Path, told: Told) -> None:
    code, out, _ = told("inspect", shards)
    assert code == 0
    for line in ["shards           3", "samples          12", "captions         12 on 12 samples, 12 distinct"]:
        assert line in out.splitlines(), line
    assert "in the shards    1 members of a key and kind that came before; 1 keys without an image" in out
    found = json.loads(told("inspect", shards, "--json")[1])["sources"][0]
    assert found["shards"]["ignored"] == {"pkl": 1}


def test_real_tars(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    monkeypatch.setenv("VLC_CACHE", str(tmp_path))
    path = shared_data / "flickr8k_wds" / "{00000..00005}.tar"
    assert index_json(told, path)["samples"] == 6_091
    found = json.loads(told("inspect", path, "--sample", 200, "--json", "--decode")[1])["sources"][0]
    assert (found["samples"], found["examined"], found["broken"]) == (6_091, 200, [])
    assert (found["captions"], found["measures"]["width"]["spread"]["median"]) == (1_000, 96)
