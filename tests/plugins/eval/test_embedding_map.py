"""The embedding map: its numbers against scikit-learn, its page against what a browser may not do."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from vlc_core.errors import DataError, StorageError
from vlc_plugin_eval import embedding_map
from vlc_plugin_eval.embedding_map import EmbeddingMap
from vlc_plugin_eval.map_page import colour
from vlc_plugin_eval.projection import leave_one_out, silhouette, tsne

CLASSES = ["cat", "</script><b>dog", 'bird" onload="x', "fish"]


class Page(HTMLParser):
    """Tags, attributes and the embedded data of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open, self.texts = [""], {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(f"{tag}#{dict(attrs).get('id')}")

    def handle_data(self, data: str) -> None:
        self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data

    @property
    def data(self) -> dict:
        return json.loads(self.texts["script#data"])


@pytest.fixture
def world(known: SimpleNamespace) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(48) % 4
    image_ND = torch.stack([known.hashed(CLASSES[y]) for y in labels]) + torch.randn(48, 8, generator=generator)
    data = known.Rows([known.sample(label=int(y), key=f"<{i}>") for i, y in enumerate(labels)], CLASSES)
    return SimpleNamespace(data=data, labels=labels, x=image_ND, model=known.Model(image_ND, known.hashed))


def test_numbers_are_those_of_scikit_learn(world: SimpleNamespace) -> None:
    got = EmbeddingMap(data=world.data, k=3, perplexity=5).evaluate(world.model)
    unit = torch.nn.functional.normalize(world.x, dim=1).numpy()
    y = world.labels.numpy()
    assert got.metrics["silhouette"] == pytest.approx(silhouette_score(unit, y, metric="cosine"), abs=1e-6)
    right = 0
    for i in range(48):
        others = np.arange(48) != i
        judge = KNeighborsClassifier(3, metric="cosine", algorithm="brute").fit(unit[others], y[others])
        right += int(judge.predict(unit[i : i + 1])[0] == y[i])
    assert got.metrics["knn"] == pytest.approx(right / 48)
    assert f"kNN accuracy {right / 48:.3f}" in got.figures["map.html"]
    assert (got.metrics["samples"], got.metrics["classes"]) == (48, 4)


def test_numbers_at_their_ends() -> None:
    x = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.01], [0, 1], [0.01, 1]]), dim=1)
    together = torch.tensor([0, 0, 1, 1])
    assert silhouette(x, together) > 0.99
    assert leave_one_out(x, together, k=1) == 1
    apart = torch.tensor([0, 1, 0, 1])
    assert silhouette(x, apart) < 0
    assert leave_one_out(x, apart, k=1) == 0


def test_the_page_is_the_same_for_a_seed_and_holds_all_it_shows(world: SimpleNamespace) -> None:
    made = [EmbeddingMap(data=world.data, k=3, perplexity=5, seed=s, most=40).evaluate(world.model) for s in (1, 1, 2)]
    first, again, other = (evaluation.figures["map.html"] for evaluation in made)
    assert first == again
    assert Page(first).data["key"] != Page(other).data["key"]
    page = Page(EmbeddingMap(data=world.data, k=3, perplexity=5).evaluate(world.model).figures["map.html"])
    circles = [attributes for tag, attributes in page.tags if tag == "circle"]
    assert len(circles) == 48
    assert [int(c["data-n"] or "") for c in circles] == list(range(48))
    assert page.data["label"] == world.labels.tolist()
    assert page.data["key"][5] == "<5>"
    assert page.data["picture"][0].startswith("data:image/jpeg;base64,")
    assert all(-1 <= float(c[axis] or "nan") <= 1001 for c in circles for axis in ("cx", "cy"))


def test_nothing_is_loaded_and_names_are_only_text(world: SimpleNamespace) -> None:
    html = EmbeddingMap(data=world.data, k=3, perplexity=5).evaluate(world.model).figures["map.html"]
    page = Page(html)
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", html)
    assert [tag for tag, attributes in page.tags if "src" in attributes or "href" in attributes] == []
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert not any(tag == "b" and "dog" in page.texts.get("b#None", "") for tag, _ in page.tags)
    assert not any("onload" in attributes for _, attributes in page.tags)
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in page.tags)
    assert "&lt;/script&gt;&lt;b&gt;dog" in html


def test_two_models_show_the_same_images(world: SimpleNamespace, known: SimpleNamespace, monkeypatch) -> None:
    other = known.Model(world.x.flip(1).roll(1, dims=0), known.hashed)
    monkeypatch.setattr(embedding_map, "load_against", lambda run, what: other)
    got = EmbeddingMap(data=world.data, k=3, perplexity=5, against="runs/clip", most=40).evaluate(world.model)
    alone = EmbeddingMap(data=world.data, k=3, perplexity=5, most=40).evaluate(other)
    assert got.metrics["against_knn"] == alone.metrics["knn"]
    assert got.metrics["against_silhouette"] == alone.metrics["silhouette"]
    page = Page(got.figures["map.html"])
    assert [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"] == ["this run", "clip"]
    assert sum(tag == "circle" for tag, _ in page.tags) == 80
    assert got.details["left_out"] == 8


def test_classes_of_training_are_left_out(world: SimpleNamespace, known: SimpleNamespace) -> None:
    training = known.Rows([known.sample(label=0)], ["CAT", "cow"])
    got = EmbeddingMap(data=world.data, absent_from=training, k=3, perplexity=5).evaluate(world.model)
    assert got.details["classes"] == CLASSES[1:]
    assert got.metrics["samples"] == 36
    assert max(Page(got.figures["map.html"]).data["label"]) == 2
    few = EmbeddingMap(data=world.data, classes=["fish", "Cat"], k=3, perplexity=5).evaluate(world.model)
    assert few.details["classes"] == ["cat", "fish"]


def test_pictures_may_be_left_out(world: SimpleNamespace) -> None:
    html = EmbeddingMap(data=world.data, k=3, perplexity=5, thumbnail=0).evaluate(world.model).figures["map.html"]
    assert set(Page(html).data["picture"]) == {""}


def test_a_collapsed_model_has_a_map_too() -> None:
    places = tsne(torch.ones(12, 4) / 2, perplexity=30, seed=0)
    assert places.shape == (12, 2)
    assert np.isfinite(places).all()


def test_near_classes_are_near_on_the_map() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(8)[:2].repeat_interleave(30, dim=0)
    x = torch.nn.functional.normalize(centres + 0.1 * torch.randn(60, 8, generator=generator), dim=1)
    places = torch.from_numpy(tsne(x, perplexity=10, seed=0))
    within = torch.cdist(places[:30], places[:30]).mean()
    assert torch.cdist(places[:30], places[30:]).mean() > 2 * within
    low, high = places.amin(dim=0), places.amax(dim=0)
    assert torch.allclose((low + high) / 2, torch.full((2,), 500.0, dtype=torch.float64), atol=0.02)
    assert (high - low).max() == pytest.approx(1000, abs=0.02)


def test_hues_of_many_classes_differ() -> None:
    assert len({colour(place) for place in range(300)}) == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["dgo"]}, "'dgo' is no class"),
        ({"classes": ["fihs", "cat"]}, "did you mean 'fish'"),
        ({"classes": ["cat"]}, "12 images of 1 classes"),
        ({"k": 48}, "k is 48, and there are 48 images"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(world: SimpleNamespace, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EmbeddingMap(data=world.data, **options).evaluate(world.model)


def test_one_image_a_class_is_not_enough(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(label=y) for y in range(4)], CLASSES)
    with pytest.raises(DataError, match="one image of each class"):
        EmbeddingMap(data=data).evaluate(known.Model(torch.eye(4, 8), known.hashed))


def test_against_must_be_a_run(world: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"embedding-map: against: .* holds no model"):
        EmbeddingMap(data=world.data, k=3, against=str(tmp_path)).evaluate(world.model)
