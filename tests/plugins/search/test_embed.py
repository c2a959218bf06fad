"""``vlc embed``: what stands in the parts, what a kill costs, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from vlc_core.errors import DataError, StorageError
from vlc_core.inference import DualEncoder
from vlc_plugin_search.embedding import making as making_module
from vlc_plugin_search.embedding.making import Made, Making
from vlc_plugin_search.embedding.opening import open_making
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.embedding.store import Store
from vlc_plugin_search.indexing.building import Graph
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Part, Side

IMAGES, BROKEN, MISSING = 23, 5, 11
SOUND = [number for number in range(IMAGES) if number not in (BROKEN, MISSING)]


def quiet(done: int, total: int) -> None:
    """Nobody looks."""


def opened(data: Path, run: Path, out: Path, **changed: object) -> Making:
    options: dict[str, object] = {
        "part": Part.BOTH,
        "precision": Precision.FLOAT32,
        "batch_size": 4,
        "part_size": 8,
        "workers": 0,
    }
    return open_making(str(data / "pairs.jsonl"), run, out, **(options | changed))  # type: ignore[arg-type]


def embed(data: Path, run: Path, out: Path, *, kind: Kind = Kind.EXACT, **changed: object) -> Made:
    return opened(data, run, out, **changed).run(kind, Graph(), quiet, quiet)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != ".lock"}


@pytest.fixture(scope="module")
def whole(data: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything embedded at once."""
    out = tmp_path_factory.mktemp("whole") / "out"
    embed(data, trained, out)
    return out


def test_parts_hold_what_the_model_makes_of_each_image_and_text(data, trained, whole):
    model = DualEncoder.load(trained)
    images = [row for n in range(3) for row in pq.read_table(whole / f"image-{n:05d}.parquet").to_pylist()]
    texts = [row for n in range(3) for row in pq.read_table(whole / f"text-{n:05d}.parquet").to_pylist()]
    assert [row["sample"] for row in images] == SOUND
    assert [row["key"] for row in images] == [f"{number:02d}.jpg" for number in SOUND]
    captions = {row["sample"]: row["texts"] for row in images}
    assert captions[3] == ["a yellow square", "a picture of a square"]
    assert [(row["sample"], row["texts"]) for row in texts] == [(n, [text]) for n in SOUND for text in captions[n]]
    pictures = [Image.open(data / row["key"]).convert("RGB") for row in images]
    expected = model.encode_image(pictures), model.encode_text([row["texts"][0] for row in texts])
    for rows, embeds in zip((images, texts), expected, strict=True):
        np.testing.assert_allclose([row["embedding"] for row in rows], embeds, atol=2e-6)
    matrix = np.load(whole / "image.npy")
    assert matrix.tolist() == [row["embedding"] for row in images]


def test_what_cannot_be_read_is_left_out_counted_and_listed(whole):
    finished = json.loads((whole / "finished.json").read_text())
    assert finished["samples"] == IMAGES
    assert finished["skipped"] == 2
    assert finished["rows"]["image"] == IMAGES - 2
    skipped = [json.loads(line) for line in (whole / "skipped.jsonl").read_text().splitlines()]
    assert [one["number"] for one in skipped] == [BROKEN, MISSING]
    assert "no file 11.jpg" in skipped[1]["reason"]


def test_workers_change_nothing(data, trained, whole, tmp_path):
    embed(data, trained, tmp_path / "out", workers=2)
    assert content(tmp_path / "out") == content(whole)


def test_half_precision_is_the_nearest_half(data, trained, whole, tmp_path):
    embed(data, trained, tmp_path / "out", precision=Precision.FLOAT16, part=Part.IMAGE)
    matrix = np.load(tmp_path / "out" / "image.npy")
    assert matrix.dtype == np.float16
    np.testing.assert_array_equal(matrix, np.load(whole / "image.npy").astype(np.float16))
    assert not list((tmp_path / "out").glob("text*"))


@pytest.mark.parametrize("written", [0, 1, 2, 3, 5])
def test_what_is_killed_while_it_writes_goes_on_to_the_same_bytes(data, trained, whole, tmp_path, monkeypatch, written):
    out, files = tmp_path / "out", []
    write = making_module.write_part

    def dies(file: Path, *args: object, **options: object) -> None:
        if len(files) == written:
            for name in (f"{file.name}-abcd_123", "image.npy-0123efgh"):  # what a kill leaves of files
                (out / f".{name}").write_bytes(b"PAR1")
            raise KeyboardInterrupt
        files.append(file)
        write(file, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(making_module, "write_part", dies)
    with pytest.raises(KeyboardInterrupt):
        embed(data, trained, out)
    monkeypatch.undo()
    with pytest.raises(StorageError, match=r"not finished \(\d of 3 parts\): run the same vlc embed again"):
        Store(out).open()
    made = embed(data, trained, out)
    assert (made.kept, made.made) == (written // 2, 3 - written // 2)  # a part is an image and a text file
    assert content(out) == content(whole)
    assert embed(data, trained, out).kept == 3


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "empty"])
def test_a_broken_part_is_made_anew_and_the_others_are_kept(data, trained, whole, tmp_path, damage):
    out = tmp_path / "out"
    embed(data, trained, out)
    file = out / "image-00001.parquet"
    sound = file.read_bytes()
    spoilt = bytearray(sound)
    spoilt[sound.index(np.load(whole / "image.npy")[8].tobytes())] ^= 1  # a bit of an embedding
    file.write_bytes({"flipped": bytes(spoilt), "cut": sound[:-100]}.get(damage, b""))
    if damage == "gone":
        file.unlink()
    made = embed(data, trained, out)
    assert (made.kept, made.made) == (2, 1)
    assert content(out) == content(whole)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"precision": Precision.FLOAT16}, "another --dtype"),
        ({"part": Part.TEXT}, "another --part"),
        ({"batch_size": 2}, "another --batch-size"),
        ({"part_size": 16}, "another --part-size"),
        ({"sets": ["where.image=00.jpg"]}, "other data"),
    ],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(data, trained, whole, changed, said):
    before = content(whole)
    with pytest.raises(StorageError, match=f"holds embeddings of {said}.*choose another --out"):
        embed(data, trained, whole, **changed)
    assert content(whole) == before


def test_a_folder_of_another_model_is_refused(data, other, whole):
    with pytest.raises(StorageError, match="holds embeddings of another model"):
        embed(data, other, whole)


def test_parts_of_data_that_has_changed_since_are_made_anew(data, trained, tmp_path):
    rows = (data / "pairs.jsonl").read_text().splitlines()
    table = tmp_path / "pairs.jsonl"
    write: Callable[[list[str]], object] = lambda lines: table.write_text("\n".join(lines) + "\n")  # noqa: E731
    for file in data.glob("*.jpg"):
        (tmp_path / file.name).symlink_to(file)
    write(rows)
    embed(tmp_path, trained, tmp_path / "out")
    write([*rows[:8], rows[9], rows[8], *rows[10:]])
    made = embed(tmp_path, trained, tmp_path / "out")
    assert (made.kept, made.made) == (2, 1)
    again = pq.read_table(tmp_path / "out" / "image-00001.parquet").column("key").to_pylist()
    assert again[:2] == ["09.jpg", "08.jpg"]


def test_two_at_a_time_are_refused(data, trained, whole):
    with (
        Store(whole).alone(),
        pytest.raises(StorageError, match=r"another vlc embed is writing to .*: wait for it to end"),
    ):
        embed(data, trained, whole)


def test_nothing_readable_is_a_data_error(data, trained, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"image": "none.jpg", "captions": "a red square"}\n')
    with pytest.raises(DataError, match=r"none of the 1 samples could be embedded, .* no file none.jpg"):
        embed(tmp_path, trained, tmp_path / "out")


def test_an_empty_source_is_a_data_error(trained, tmp_path):
    (tmp_path / "pairs.jsonl").write_text("")
    with pytest.raises(DataError, match=r"pairs.jsonl"):
        embed(tmp_path, trained, tmp_path / "out")


def test_texts_alone_need_no_image(data, trained, tmp_path):
    made = embed(data, trained, tmp_path / "out", part=Part.TEXT)
    assert made.counts.rows == {Side.TEXT: 31}
    assert made.skipped == []  # a missing image is no matter


def test_the_index_may_be_made_afterwards_and_again(data, trained, tmp_path):
    out = tmp_path / "out"
    embed(data, trained, out, kind=Kind.NONE, part=Part.IMAGE)
    assert not list(out.glob("image.*"))
    made = embed(data, trained, out, kind=Kind.ANN, part=Part.IMAGE)
    assert (made.kept, made.made) == (3, 0)
    assert (out / "image.usearch").is_file()
    embed(data, trained, out, kind=Kind.EXACT, part=Part.IMAGE)
    assert torch.from_numpy(np.load(out / "image.npy")).norm(dim=1).allclose(torch.ones(IMAGES - 2))
