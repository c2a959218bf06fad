"""Concept retrieval against a loop."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_plugin_eval import concepts
from vlc_plugin_eval.concepts import ConceptRetrieval, class_means
from vlc_plugin_eval.vocabulary import read_vocabulary

WORDS = ["apple", "bear", "cloud", "Night Owl", "echo", "fjord"]
TEMPLATES = ["a {}", "the {}"]


def direction(known: SimpleNamespace, name: str) -> np.ndarray:
    texts = [known.hashed(t.replace("{}", name)).double().numpy() for t in TEMPLATES]
    mean = np.mean([t / np.linalg.norm(t) for t in texts], axis=0)
    return mean / np.linalg.norm(mean)


def expected(known: SimpleNamespace, queries: list[str], candidates: list[str], top: int) -> list[tuple]:
    rows = []
    for query in queries:
        found = sorted(((direction(known, query) @ direction(known, c), c) for c in candidates), reverse=True)
        rows += [(query, rank, name, cosine) for rank, (cosine, name) in enumerate(found[:top], start=1)]
    return rows


def test_texts_are_those_of_a_loop_without_the_queries(known: SimpleNamespace) -> None:
    model = known.Model(torch.eye(1, 8), known.hashed)
    made = ConceptRetrieval(queries=["Bear", "zebra", "night_owl"], vocabulary=WORDS, prompts=TEMPLATES, top=3)
    got = made.evaluate(model)
    rows = got.tables["nearest"].rows
    wanted = expected(known, ["Bear", "zebra", "night_owl"], ["apple", "cloud", "echo", "fjord"], 3)
    assert [row[:3] for row in rows] == [row[:3] for row in wanted]
    assert [row[3] for row in rows] == pytest.approx([row[3] for row in wanted], abs=1e-6)
    assert got.metrics["vocabulary"] == 4
    assert got.metrics["mean_cosine"] == pytest.approx(np.mean([row[3] for row in wanted if row[1] == 1]), abs=1e-6)


def image_world(known: SimpleNamespace) -> tuple[object, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = [0, 0, 1, 1, 1, 2, 3, -1]
    image_ND = torch.randn(8, 4, generator=generator) * torch.arange(1, 9)[:, None]
    return known.Rows([known.sample(label=y, key=str(i)) for i, y in enumerate(labels)], WORDS[:4]), image_ND


def test_images_are_means_of_unit_embeddings(known: SimpleNamespace) -> None:
    data, image_ND = image_world(known)
    got = ConceptRetrieval(queries=["apple"], data=data, space="image", top=9).evaluate(
        known.Model(image_ND, known.hashed)
    )
    unit = image_ND.double().numpy() / np.linalg.norm(image_ND.double().numpy(), axis=1, keepdims=True)
    means = [unit[rows].mean(axis=0) for rows in ([0, 1], [2, 3, 4], [5], [6])]
    means = [mean / np.linalg.norm(mean) for mean in means]
    wanted = sorted(((means[0] @ means[c], WORDS[c]) for c in (1, 2, 3)), reverse=True)
    assert [row[2] for row in got.tables["nearest"].rows] == [name for _, name in wanted]
    assert [row[3] for row in got.tables["nearest"].rows] == pytest.approx([c for c, _ in wanted], abs=1e-6)


def test_a_class_without_images_has_no_mean() -> None:
    means = class_means(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]), 2)
    assert means[0].tolist() == pytest.approx([0.5**0.5] * 2)
    assert means[1].tolist() == [0, 0]


def test_two_models_are_shown_side_by_side(known: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    other = known.Model(torch.eye(1, 8), lambda text: known.hashed(text[::-1]))
    monkeypatch.setattr(concepts, "load_against", lambda run, what: other)
    made = ConceptRetrieval(queries=["bear"], vocabulary=WORDS, prompts=TEMPLATES, top=2, against="runs/labels")
    got = made.evaluate(known.Model(torch.eye(1, 8), known.hashed))
    alone = ConceptRetrieval(queries=["bear"], vocabulary=WORDS, prompts=TEMPLATES, top=2).evaluate(other)
    table = got.tables["nearest"]
    assert table.columns[-2:] == ("concept (labels)", "cosine (labels)")
    assert [row[4:] for row in table.rows] == [row[2:] for row in alone.tables["nearest"].rows]
    assert got.metrics["against_mean_cosine"] == alone.metrics["mean_cosine"]
    both = {row[2] for row in table.rows} & {row[4] for row in table.rows}
    assert got.metrics["overlap@2"] == len(both) / 2


def test_equal_cosines_keep_the_vocabularys_order(known: SimpleNamespace) -> None:
    model = known.Model(torch.eye(1, 8), lambda text: torch.ones(8))
    got = ConceptRetrieval(queries=["x"], vocabulary=WORDS, top=6, prompts="{}").evaluate(model)
    assert [row[2] for row in got.tables["nearest"].rows] == WORDS


@pytest.mark.parametrize("text", ["apple\n\n bear \nApple\n", json.dumps(["apple", "bear", "APPLE"])])
def test_a_vocabulary_is_lines_or_a_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "words").write_text(text)
    assert read_vocabulary(str(tmp_path / "words")) == {"apple": "apple", "bear": "bear"}


@pytest.mark.parametrize(
    ("text", "message"), [("", "is empty"), ("[1, 2]", "list of texts"), ("[1,", "cannot be read")]
)
def test_a_broken_vocabulary_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "words").write_text(text)
    with pytest.raises(DataError, match=message):
        read_vocabulary(str(tmp_path / "words"))
    with pytest.raises(DataError, match=r"there is no vocabulary .*/none: give a file"):
        read_vocabulary(str(tmp_path / "none"))


def test_an_unknown_concept_gives_the_nearest_name(known: SimpleNamespace) -> None:
    data, image_ND = image_world(known)
    with pytest.raises(RecipeError, match=r"'aple' is no class of `data`.*did you mean 'apple'"):
        ConceptRetrieval(queries=["aple"], data=data, space="image").evaluate(known.Model(image_ND, known.hashed))
    with pytest.raises(RecipeError, match=r"concepts; the classes are apple, bear, cloud, …$"):
        ConceptRetrieval(queries=["12"], data=data, space="image").evaluate(known.Model(image_ND, known.hashed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": ["x"]}, "give `data`"),
        ({"queries": ["x"], "vocabulary": ["x", "X"]}, "nothing to find"),
        ({"queries": ["apple"], "vocabulary": ["bear"], "space": "image"}, "needs the class names"),
    ],
)
def test_what_cannot_be_looked_up_is_one_sentence(known: SimpleNamespace, options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        ConceptRetrieval(**options).evaluate(known.Model(torch.eye(1, 8), known.hashed))


def test_classes_without_images_are_left_out_and_cannot_be_asked_for(known: SimpleNamespace) -> None:
    data, image_ND = image_world(known)
    data.classes = [*WORDS]
    model = known.Model(image_ND, known.hashed)
    got = ConceptRetrieval(queries=["apple"], data=data, space="image").evaluate(model)
    assert got.details["without_images"] == ["echo", "fjord"]
    assert got.metrics["vocabulary"] == 3
    with pytest.raises(DataError, match="the class 'fjord' is without an image"):
        ConceptRetrieval(queries=["fjord"], data=data, space="image").evaluate(model)
    with pytest.raises(DataError, match="every class but the queries'"):
        ConceptRetrieval(queries=["apple"], vocabulary=["echo"], data=data, space="image").evaluate(model)


def test_classes_of_one_name_are_one_concept(known: SimpleNamespace) -> None:
    rows = [known.sample(label=y, key=str(y)) for y in (0, 1, 2)]
    image_ND = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])
    data = known.Rows(rows, ["crane", "owl", "Crane"])
    got = ConceptRetrieval(queries=["owl"], data=data, space="image").evaluate(known.Model(image_ND, known.hashed))
    assert [row[2] for row in got.tables["nearest"].rows] == ["crane"]
    reverse = ConceptRetrieval(queries=["crane"], data=data, space="image")
    assert reverse.evaluate(known.Model(image_ND.roll(1, 1), known.hashed)).metrics["mean_cosine"] == pytest.approx(0)


def test_against_must_be_a_run(known: SimpleNamespace, tmp_path: Path) -> None:
    made = ConceptRetrieval(queries=["x"], vocabulary=WORDS, against=str(tmp_path), prompts="{}")
    with pytest.raises(StorageError, match=r"against: .* holds no model: give a run folder"):
        made.evaluate(known.Model(torch.eye(1, 8), known.hashed))
