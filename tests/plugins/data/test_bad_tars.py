"""Shards that are not what they should be: what is left of them is used and counted, never half a sample."""

from __future__ import annotations

import gzip
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from vlc_core import DataError, RecipeError
from vlc_core.options import build
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_plugin_data.tars import index_shards
from vlc_plugin_data.tars.index import Facts
from vlc_plugin_data.webdataset import WebDataset

FOUR = [(f"{i}.{ending}", f"{ending} {i}".encode() * 90) for i in range(4) for ending in ("jpg", "txt")]
PAIRS = [(f"{i}", f"jpg {i}".encode() * 90, (f"txt {i}" * 90,)) for i in range(4)]


def read(path: str) -> list[tuple[str, Any, tuple[str, ...]]]:
    data = WebDataset(path=path)
    found = [data[i] for i in range(len(data))]
    return [(sample.key.partition("/")[2], sample.image, sample.texts) for sample in found]


def facts(path: str) -> Facts:
    found = index_shards(path)[0].facts
    assert found is not None
    return found


def test_a_tar_cut_anywhere_gives_whole_samples_only(make_tar: Any, tmp_path: Path) -> None:
    whole = Path(make_tar(FOUR)).read_bytes()
    lengths = []
    for cut in range(2 * 512, len(whole), 512):
        path = tmp_path / f"{cut}.tar"
        path.write_bytes(whole[:cut])
        told = facts(str(path))
        lengths.append(told.samples)
        if told.samples:
            assert read(str(path)) == PAIRS[: told.samples]
        else:
            with pytest.raises(DataError, match="no sample with an image"):
                read(str(path))
        ended = cut >= 16 * 512 + 512  # 4 × 2 members of a header and a block each, then the mark of the end
        assert (told.broken_at is None) == ended
        assert told.samples + told.half <= 4
    assert lengths == sorted(lengths)
    assert set(lengths) == {0, 1, 2, 3, 4}
    assert lengths[:3] == [0, 0, 0]  # a first sample alone does not tell whether more of it followed


def test_what_breaks_off_is_told_in_the_log(make_tar: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Path(make_tar(FOUR))
    path.write_bytes(path.read_bytes()[: 9 * 512])
    with caplog.at_level(logging.WARNING, "vlc"):
        assert len(WebDataset(path=str(path))) == 2
    assert f"1 of 1 shards break off; what stands before is used: {path} at byte 4096" in caplog.text
    assert (facts(str(path)).broken_at, facts(str(path)).half) == (4096, 0)


def test_interleaved_keys_are_brought_together(make_tar: Any) -> None:
    members = sorted(FOUR, key=lambda member: member[0].partition(".")[2])
    assert members != FOUR
    assert read(make_tar(members)) == PAIRS


def test_of_members_with_one_name_the_first_is_kept(make_tar: Any) -> None:
    path = make_tar([*FOUR, ("0.jpg", b"another"), ("1.PNG", b"a second image"), ("2.txt", b"other words")])
    assert read(path) == PAIRS
    assert facts(path).repeated == 3


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "..\\x.jpg", "C:\\x.jpg", ".."])
def test_members_with_a_path_outside_are_left_out(name: str, make_tar: Any) -> None:
    path = make_tar([*FOUR, (name, b"evil"), ("../0.cls", b"1")])
    assert read(path) == PAIRS
    assert (facts(path).outside, WebDataset(path=path).classes) == (2, None)


def test_dots_folders_and_capitals_in_names(make_tar: Any) -> None:
    members = [
        ("a.b.JPG", b"1"),
        ("a.b.Txt", b"one"),
        ("./a.jpg", b"2"),
        ("a.txt", b"two"),
        ("d/a.jpeg", b"3"),
        ("d/a.json", b'{"caption": "three"}'),
        ("v1.5/0.webp", b"4"),
        ("v1.5/0.txt", b"four"),
    ]
    path = make_tar(members)
    assert read(path) == [
        ("a.b", b"1", ("one",)),
        ("a", b"2", ("two",)),
        ("d/a", b"3", ("three",)),
        ("v1.5/0", b"4", ("four",)),
    ]


def test_other_members_are_never_looked_at(make_tar: Any, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.mkdir, (tmp_path / "trapped",)

    trap = pickle.dumps(Trap())
    hidden = [("0.pyd", trap), ("0.pkl", trap), ("1.pickle", trap), ("0.pth", trap), ("README", b""), (".jpg", b"")]
    path = make_tar([*FOUR, *hidden, ("9.txt", b"no image")])
    assert read(path) == PAIRS
    assert not (tmp_path / "trapped").exists()
    told = facts(path)
    assert told.ignored == {"pyd": 1, "pkl": 1, "pickle": 1, "pth": 1, "readme": 1, "jpg": 1}
    assert (told.without_image, told.without_text) == (1, 0)


def test_images_without_words_are_counted(make_tar: Any) -> None:
    path = make_tar([*FOUR, ("9.jpg", b"9"), ("8.jpg", b"8"), ("8.cls", b"0")])
    assert (facts(path).samples, facts(path).without_text) == (6, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0.tar is empty"),
        (b"<!DOCTYPE html>" * 100, "0.tar is no tar, or cut"),
        (gzip.compress(b"x" * 2000, mtime=0), r"compressed with gzip.*run `gunzip 0.tar`"),
        (b"\x28\xb5\x2f\xfd" + bytes(2000), "compressed with Zstandard"),
        (b"BZh9" + bytes(2000), "compressed with bzip2"),
        (bytes(10240), "no sample with an image is in"),
    ],
)
def test_what_is_no_tar_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(content)
    with pytest.raises(DataError, match=message):
        WebDataset(path=str(tmp_path / "0.tar"))


def test_a_missing_shard_is_named(make_tar: Any, tmp_path: Path) -> None:
    make_tar(FOUR, "0.tar")
    make_tar(FOUR, "2.tar")
    with pytest.raises(DataError, match=r"there is no shard .*/1.tar; 2 of 4 shards"):
        WebDataset(path=f"{tmp_path}/{{0..3}}.tar")


def test_bad_shards_are_left_out_up_to_a_share(make_tar: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_tar(FOUR, "0.tar")
    make_tar(FOUR, "3.tar")
    (tmp_path / "1.tar").write_bytes(b"junk" * 512)
    path = f"{tmp_path}/{{0..3}}.tar"
    with caplog.at_level(logging.WARNING, "vlc"):
        data = WebDataset(path=path, max_bad=0.5)
    assert [data[i].key for i in (0, 4)] == ["0/0", "3/0"]
    assert "2 of 4 shards are left out: there is no shard" in caplog.text
    with pytest.raises(DataError, match="2 of 4 shards are missing or cannot be read"):
        WebDataset(path=path, max_bad=0.4)
    make_tar(FOUR, "1.tar")  # mended
    assert len(WebDataset(path=path, max_bad=0.25)) == 12
    with pytest.raises(DataError, match="there is no shard"):
        WebDataset(path=[f"{tmp_path}/8.tar", f"{tmp_path}/9.tar"], max_bad=0.9)


@pytest.mark.parametrize("text", [b"[1]", b"{", b"[" * 100_000])
def test_a_broken_json_costs_its_sample_only(text: bytes, make_tar: Any) -> None:
    data = WebDataset(path=make_tar([("0.jpg", b"i"), ("0.json", text), ("1.jpg", b"j"), ("1.txt", b"t")]))
    with pytest.raises(DataError, match=r"its \.json"):
        data[0]
    assert data[1].texts == ("t",)


def test_wrong_options_are_named(tmp_path: Path) -> None:
    registry = plugins().registry
    for spec, message in (({"max_bad": 1.5}, "max_bad"), ({"caption": "x"}, "did you mean 'captions'")):
        with pytest.raises(RecipeError, match=message):
            build(registry, "dataset", Use.model_validate({"use": "webdataset", "path": "x.tar"} | spec))
