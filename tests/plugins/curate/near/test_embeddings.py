"""Embeddings find what hashes do not; both ways to search agree with a loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vlc_core.errors import DataError, StorageError
from vlc_plugin_curate.near import embedder as module
from vlc_plugin_curate.near import near_duplicates
from vlc_plugin_curate.near.embeddings import searcher


class MeanColour:
    """Stands in for a model: embeds a picture by its mean colour; mirrored pictures are the same to it."""

    vector_width = None
    towers = SimpleNamespace(text=SimpleNamespace(embed_dim=3))

    def __init__(self) -> None:
        self.seen = 0

    def encode_image(self, pictures: list[Image.Image]) -> torch.Tensor:
        self.seen += len(pictures)
        means = [np.asarray(picture, np.float32).mean(axis=(0, 1)) - 128 for picture in pictures]
        return torch.nn.functional.normalize(torch.tensor(np.stack(means)), dim=1)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> MeanColour:
    found = MeanColour()
    monkeypatch.setattr("vlc_core.inference.DualEncoder.load", lambda run: found)
    monkeypatch.setattr("vlc_core.model.digest.model_digest", lambda run: "a digest")
    monkeypatch.setattr(module, "PART", 4)
    return found


def unit(count: int, width: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("exact", [0, 1_000], ids=["by a graph", "exactly"])
def test_both_searches_against_a_loop(exact: int) -> None:
    right = unit(400, 16, 0)
    left = np.concatenate([right[5:25] + 0.05 * unit(20, 16, 1), unit(30, 16, 2)])
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    found = searcher(right, 0.9, exact=exact)(left.astype(np.float32))
    cosine = left.astype(np.float64) @ right.astype(np.float64).T
    wanted = [(i, j) for i in range(50) for j in range(400) if cosine[i, j] >= 0.9]
    assert len(wanted) >= 20
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == wanted
    assert np.allclose(found.cosine, cosine[found.left, found.right], atol=1e-5)


def test_the_graph_is_the_same_each_time() -> None:
    right, left = unit(500, 8, 3), unit(200, 8, 4)
    first, second = (searcher(right, 0.7, exact=0)(left) for _ in range(2))
    assert [column.tolist() for column in first] == [column.tolist() for column in second]


def test_a_model_finds_more_and_tells_the_cosine_of_all(model: MeanColour, drawn: SimpleNamespace) -> None:
    scenes = [drawn.scene(seed) for seed in range(9)]
    train = [("", scenes[0]), ("", ImageOps.mirror(scenes[1])), ("", Image.new("RGB", (30, 30), "red"))]
    reference = [("", scene) for scene in scenes]
    alone = near_duplicates(train, reference)
    both = near_duplicates(train, reference, model=Path("run"), min_cosine=0.99999)
    assert alone.train.tolist() == alone.reference.tolist() == [0]
    assert both.train.tolist() == both.reference.tolist() == [0, 1]
    assert both.cosine is not None
    assert both.cosine == pytest.approx(1, abs=1e-5)
    assert both.distance[0] == 0
    assert both.distance[1] > 10


def test_pairs_of_hashes_stay_whatever_the_cosine(model: MeanColour, drawn: SimpleNamespace) -> None:
    scene = drawn.scene(2)
    darker = scene.point(lambda v: v // 2)
    found = near_duplicates([("", scene)], [("", darker)], model=Path("run"), min_cosine=1.0)
    assert len(found) == 1
    assert found.cosine is not None
    assert float(found.cosine[0]) < 1


def test_embeddings_are_kept(model: MeanColour, drawn: SimpleNamespace, tmp_path: Path) -> None:
    images = [(str(seed), drawn.scene(seed)) for seed in range(6)]
    first = near_duplicates(images, images[:3], model=Path("run"), cache=tmp_path)
    seen = model.seen
    again = near_duplicates(images, images[:3], model=Path("run"), cache=tmp_path)
    assert seen == model.seen == 9
    assert np.array_equal(first.train, again.train)
    images[5] = ("5", drawn.scene(77))
    near_duplicates(images, images[:3], model=Path("run"), cache=tmp_path)
    assert model.seen == 11, "the part of the changed image, 4 and 5"


def test_an_iterator_can_be_read_only_once(model: MeanColour, drawn: SimpleNamespace) -> None:
    def once() -> Iterator[tuple[str, Image.Image]]:
        yield "", drawn.scene(0)

    with pytest.raises(ValueError, match="iterated only once"):
        near_duplicates(once(), [("", drawn.scene(0))], model=Path("run"))


def test_no_run_is_named(drawn: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises((StorageError, DataError), match="nothing"):
        near_duplicates([("", drawn.scene(0))], [("", drawn.scene(1))], model=tmp_path / "nothing")
