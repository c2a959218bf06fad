"""Copies within and across sources: which are kept, what is written, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlc_cli.main import run as run_vlc
from vlc_plugin_curate.deduping.groups import Groups, group
from vlc_plugin_curate.near.embeddings import Alike
from vlc_plugin_curate.near.fingerprints import ROW, SOUND, UNREADABLE, Fingerprints
from vlc_plugin_data.manifest import Manifest

SAME = "a dog"


@pytest.fixture(scope="module")
def data(drawn: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes; a small and a framed copy of the first, two files twice, plain colours, a broken file."""
    folder = tmp_path_factory.mktemp("copies")
    files = {f"{seed}.png": drawn.encoded(drawn.scene(seed)) for seed in range(6)}
    files["half.jpg"] = drawn.encoded(drawn.changes["half"](drawn.scene(0)), 80)
    files["framed.png"] = drawn.encoded(drawn.changes["white frame"](drawn.scene(0)))
    files["same.png"] = files["other.png"] = files["3.png"]
    files["red.png"], files["blue.png"] = (
        drawn.encoded(Image.new("RGB", (40, 40), colour)) for colour in ("red", "blue")
    )
    files["red again.png"] = files["red.png"]
    files["broken.jpg"] = b"broken"
    drawn.write(folder, files)
    rows = [{"image": name, "caption": SAME if name in ("3.png", "same.png") else name} for name in files]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def vlc(*arguments: object) -> int:
    return run_vlc(["data", "dedupe", *map(str, arguments)])


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert vlc(*arguments, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLC_CACHE", str(tmp_path / "cache"))


def kept(file: Path) -> list[str]:
    keys: list[str] = pq.read_table(file).column("key").to_pylist()
    return keys


def test_one_of_each_is_kept(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, data / "pairs.jsonl", "--out", tmp_path / "kept.parquet")
    assert kept(tmp_path / "kept.parquet") == [f"{seed}.png" for seed in range(6)] + ["red.png", "blue.png"]
    counts = {name: found[name] for name in ("images", "kept", "dropped", "groups", "flat", "unreadable")}
    assert counts == {"images": 14, "kept": 8, "dropped": 5, "groups": 3, "flat": 3, "unreadable": 1}
    assert (found["dropped_same_bytes_and_texts"], found["dropped_same_bytes"], found["dropped_alike"]) == (1, 2, 2)
    rows = [(one["kept"]["row"], [copy["row"] for copy in one["dropped"]]) for one in found["copies"]]
    assert rows == [(0, [6, 7]), (3, [8, 9]), (10, [12])]
    assert found["unreadable_images"][0]["key"] == "broken.jpg" or found["unreadable_images"][0]["row"] == 13


def test_the_list_trains(data: Path, tmp_path: Path) -> None:
    """Paths where there are files: the manifest dataset reads it from anywhere."""
    assert vlc(data / "pairs.jsonl", "--out", tmp_path / "kept.parquet") == 0
    manifest = Manifest(path=str(tmp_path / "kept.parquet"), text="texts")
    assert len(manifest) == 8
    assert manifest[3].texts == (SAME,)
    assert manifest[3].image == (data / "3.png").read_bytes()


def test_pictures_without_files_are_in_the_list(tmp_path: Path) -> None:
    block = "{use: shapes, length: 12, size: 32}"
    assert vlc(block, "--exact", "--out", tmp_path / "kept.parquet") == 0
    manifest = Manifest(path=str(tmp_path / "kept.parquet"), text="texts")
    assert len(manifest) > 1
    assert isinstance(manifest[0].image, bytes)
    assert manifest[0].texts


def test_class_names_go_along(data: Path, tmp_path: Path, drawn: SimpleNamespace) -> None:
    folder = drawn.write(
        tmp_path / "classes", {f"{'xy'[i % 2]}/{i}.png": (data / f"{i // 2}.png").read_bytes() for i in range(4)}
    )
    assert vlc(folder, "--out", tmp_path / "kept.parquet") == 0
    manifest = Manifest(path=str(tmp_path / "kept.parquet"), text="texts", label="label")
    assert [manifest[i].key for i in range(len(manifest))] == [str(folder / name) for name in ("x/0.png", "x/2.png")]
    assert manifest.classes == ["x"]


def test_the_largest_is_kept_by_option(data: Path, tmp_path: Path) -> None:
    assert vlc(data / "pairs.jsonl", "--keep", "largest", "--out", tmp_path / "kept.parquet") == 0
    assert "framed.png" in kept(tmp_path / "kept.parquet")
    assert "0.png" not in kept(tmp_path / "kept.parquet")


def test_only_the_same_files(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, data / "pairs.jsonl", "--exact")
    assert [[copy["row"] for copy in one["dropped"]] for one in found["copies"]] == [[8, 9], [12]]


def test_only_the_same_texts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, data / "pairs.jsonl", "--same-text")
    assert [(one["kept"]["row"], [copy["row"] for copy in one["dropped"]]) for one in found["copies"]] == [(3, [8])]


def test_across_sources_the_first_one_keeps(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "more.jsonl").write_text(json.dumps({"image": str(data / "2.png"), "caption": "again"}) + "\n")
    found = as_json(capsys, tmp_path / "more.jsonl", data / "pairs.jsonl")
    assert [(one["images"], one["kept"], one["dropped"]) for one in found["sources"]] == [(1, 1, 0), (14, 7, 6)]
    across = [one for one in found["copies"] if one["kept"]["source"] == str(tmp_path / "more.jsonl")]
    assert [copy["row"] for copy in across[0]["dropped"]] == [2]


def test_a_page_shows_them(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vlc(data / "pairs.jsonl", "--html", tmp_path / "page.html", "--examples", 2) == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/") == 6
    assert "2 examples, of 3" in page
    assert "half.jpg" in page
    assert "the same file" in page
    assert "unreadable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{data}/nothing.jsonl"], 3, "no manifest"),
        (["{data}/pairs.jsonl", "--out", "{out}/list.csv"], 2, "list.parquet"),
        (["{data}/pairs.jsonl", "--out", "{out}/none/list.parquet"], 5, "there is no folder"),
        (["{data}/pairs.jsonl", "--html", "{out}"], 5, "is a folder"),
        (["{data}/pairs.jsonl", "--exact", "--model", "x"], 2, "give one of them"),
        (["{data}/pairs.jsonl", "--model", "{out}/none"], 5, "none"),
        (["{data}/broken.jsonl"], 3, "none of the 1 images"),
        (["{data}/vectors.jsonl", "--set", "features=v"], 3, "holds vectors"),
    ],
)
def test_wrong_input_is_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    (data / "broken.jsonl").write_text('{"image": "broken.jpg", "caption": "x"}\n')
    (data / "vectors.jsonl").write_text('{"image": "x", "v": [1, 2]}\n')
    assert vlc(*(one.format(data=data, out=tmp_path) for one in arguments)) == code
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said


def prints(hashes: list[int], states: list[int] | None = None) -> Fingerprints:
    """Rows that differ in their hashes alone, in fine ones eight times as much."""
    rows = np.zeros(len(hashes), ROW)
    rows["hashes"] = np.array(hashes, np.uint64)[:, None]
    rows["digest"][:, 0] = np.arange(len(hashes))
    rows["fine"][:, :, 0] = np.array(hashes, np.uint64)[:, None]
    rows["state"] = SOUND if states is None else states
    rows["width"] = rows["height"] = 10
    return Fingerprints(rows)


def bits(count: int) -> int:
    return (1 << count) - 1


def test_chains_are_not_followed() -> None:
    """0, 6 and 12 bits: the middle is near both, the ends are not near one another."""
    found = group(prints([bits(0), bits(6), bits(12)]), radius=6)
    assert found.kept.tolist() == [0, 0, 2]
    assert found.distance.tolist() == [0, 6, 0]


def test_every_dropped_row_is_near_the_one_that_is_kept() -> None:
    draw = np.random.default_rng(0)
    base = draw.integers(0, 2**64, 6, dtype=np.uint64)
    noise = (draw.random((200, 64)) < 0.06) @ (np.uint64(1) << np.arange(64, dtype=np.uint64))
    hashes = (base[draw.integers(0, 6, 200)] ^ noise.astype(np.uint64)).tolist()
    found = group(prints(hashes), radius=8)
    apart = np.array([[(a ^ b).bit_count() for b in hashes] for a in hashes])
    rows = np.arange(200)
    assert (apart[rows, found.kept] <= 8).all()
    heads = found.kept_rows
    assert (apart[np.ix_(heads, heads)] + 99 * np.eye(len(heads)) > 8).all(), "two that are kept are near"
    assert 6 <= len(heads) < 100


def test_unreadable_rows_are_neither_kept_nor_dropped() -> None:
    found = group(prints([1, 1, 1], [UNREADABLE, SOUND, SOUND]), radius=3)
    assert found.kept.tolist() == [-1, 1, 1]
    assert found.kept_rows.tolist() == [1]
    assert found.dropped_rows.tolist() == [2]


def test_a_model_joins_what_hashes_do_not() -> None:
    def by_model(alone: Fingerprints, near: Any) -> Alike:
        pairs = np.array([[0, 2], [2, 0]])
        return Alike(pairs[:, 0], pairs[:, 1], np.full(2, 0.97, np.float32))

    found = group(prints([bits(0), bits(40), bits(20)]), radius=3, by_model=by_model)
    assert found.kept.tolist() == [0, 1, 0]
    assert found.cosine[2] == pytest.approx(0.97)
    assert np.isnan(found.cosine[1])


def test_the_largest_groups_come_first() -> None:
    kept_in_place = np.array([0, 1, 1, 0, 1, 5, -1])
    found = Groups(kept_in_place, np.zeros(7, np.uint8), np.zeros(7, np.float32)).groups()
    assert [(head, rows.tolist()) for head, rows in found] == [(1, [2, 4]), (0, [3])]
