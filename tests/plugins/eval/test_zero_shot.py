from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlc_core.errors import DataError, Diverged
from vlc_plugin_eval import classification, zero_shot
from vlc_plugin_eval.warned import warn_once
from vlc_plugin_eval.zero_shot import ZeroShot

CLASSES = ["cat", "dog", "bird", "fish", "cow", "ant", "bee"]
TEMPLATES = ["a photo of a {}.", "the {}", "{} indeed"]


@pytest.fixture
def world(known: SimpleNamespace) -> SimpleNamespace:
    """60 samples of seven classes, one class absent, three samples unlabelled, two unreadable."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (60,), generator=generator)
    labels[[4, 9, 30]] = -1
    image_ND = torch.randn(60, 8, generator=generator)
    for row in range(0, 60, 2):  # every other image leans towards its class
        image_ND[row] += sum(known.hashed(t.replace("{}", CLASSES[labels[row]])) for t in TEMPLATES)
    data = known.Rows([known.sample(label=int(y), key=str(i)) for i, y in enumerate(labels)], CLASSES)
    return SimpleNamespace(data=data, labels=labels, model=known.Model(image_ND, known.hashed, unreadable=[1, 2]))


def reference(world: SimpleNamespace, known: SimpleNamespace) -> dict[str, float]:
    """Each sample by itself in float64."""
    heads = []
    for name in CLASSES:
        texts = [known.hashed(t.replace("{}", name)).double().numpy() for t in TEMPLATES]
        mean = np.mean([t / np.linalg.norm(t) for t in texts], axis=0)
        heads.append(mean / np.linalg.norm(mean))
    right, top5, by_class = [], [], defaultdict(list)
    for row in range(60):
        label = int(world.labels[row])
        if label < 0 or row in (1, 2):
            continue
        image = world.model.image_ND[row].double().numpy()
        order = np.argsort([-head @ image for head in heads], kind="stable")
        right.append(order[0] == label)
        top5.append(label in order[:5])
        by_class[label].append(order[0] == label)
    return {
        "top1": float(np.mean(right)),
        "top5": float(np.mean(top5)),
        "mean_per_class": float(np.mean([np.mean(x) for x in by_class.values()])),
        "samples": 55.0,
        "classes": 7.0,
    }


def test_answers_are_those_that_are_counted(world: SimpleNamespace) -> None:
    evaluator = ZeroShot(data=world.data, prompts=TEMPLATES)
    answers = evaluator.answers(world.model)
    assert answers.rows.tolist() == [row for row in range(60) if row not in (1, 2, 4, 9, 30)]
    assert answers.labels.tolist() == world.labels[answers.rows].tolist()
    right = float((answers.predicted == answers.labels).double().mean())
    assert right == evaluator.evaluate(world.model).metrics["top1"]


def test_metrics_are_those_of_a_loop(world: SimpleNamespace, known: SimpleNamespace) -> None:
    got = ZeroShot(data=world.data, prompts=TEMPLATES).evaluate(world.model)
    expected = reference(world, known)
    assert got.metrics == pytest.approx(expected, abs=1e-12)
    assert 0.3 < expected["top1"] < expected["top5"] < 1
    assert abs(expected["top1"] - expected["mean_per_class"]) > 1e-4


def test_blocks_of_samples_and_of_texts_change_nothing(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ZeroShot(data=world.data, prompts=TEMPLATES).evaluate(world.model)
    monkeypatch.setattr(classification, "ROWS", 7)
    monkeypatch.setattr(zero_shot, "TEXTS", 4)
    world.model.calls.clear()
    assert ZeroShot(data=world.data, prompts=TEMPLATES).evaluate(world.model) == whole
    assert [len(call) for call in world.model.calls] == [3] * 7


def test_numbers_are_no_names_for_a_prompt(world: SimpleNamespace) -> None:
    world.data.classes, world.data.numbered = list("0123456"), True
    with pytest.raises(DataError, match="zero-shot: the dataset Rows has labels without class names, and prompts need"):
        ZeroShot(data=world.data, prompts=TEMPLATES).evaluate(world.model)
    assert ZeroShot(data=world.data, prompts="{}").evaluate(world.model).metrics["classes"] == 7


def test_details_count_what_was_left_out_and_tables_add_up(world: SimpleNamespace) -> None:
    got = ZeroShot(data=world.data, prompts=TEMPLATES).evaluate(world.model)
    assert got.details["prompts"] == TEMPLATES
    assert (got.details["unlabelled"], got.details["skipped"]) == (3, 2)
    rows = got.tables["per_class"].rows
    assert [row[0] for row in rows] == CLASSES[:6]
    assert sum(int(row[1]) for row in rows) == 55
    assert np.mean([row[2] for row in rows]) == pytest.approx(got.metrics["mean_per_class"])
    wrong = round(55 * (1 - got.metrics["top1"]))
    confused = got.tables["confused"].rows
    assert sum(int(row[2]) for row in confused) == wrong  # fewer than 20 different mistakes
    assert [row[2] for row in confused] == sorted((row[2] for row in confused), reverse=True)
    assert all(name != taken for name, taken, _, _ in confused)


def test_equal_similarities_go_to_the_first_class(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(label=y) for y in range(6)], CLASSES[:6])
    model = known.Model(torch.ones(6, 4), lambda text: torch.ones(4))
    metrics = ZeroShot(data=data, prompts="{}").evaluate(model).metrics
    assert metrics["top1"] == metrics["mean_per_class"] == pytest.approx(1 / 6)
    assert metrics["top5"] == pytest.approx(5 / 6)


def test_every_class_once_and_right(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(label=y) for y in range(3)], CLASSES[:3])
    model = known.Model(torch.stack([known.hashed(f"the {c}") for c in CLASSES[:3]]), known.hashed)
    got = ZeroShot(data=data, prompts="the {}").evaluate(model)
    assert got.metrics == {"top1": 1.0, "mean_per_class": 1.0, "samples": 3.0, "classes": 3.0}
    assert got.tables["confused"].rows == ()


def test_equal_class_names_are_told(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(label=0), known.sample(label=1)], ["crane", "owl", "crane"])
    got = ZeroShot(data=data, prompts="{}").evaluate(known.Model(torch.eye(2, 8), known.hashed))
    assert got.details["equal_class_names"] == ["crane"]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 1], None, "class names"),
        ([0, 1], [], "class names"),
        ([0, 0], ["cat"], "at least two classes"),
        ([-1, -1], ["cat", "dog"], "of the 2 that were read"),
        ([0, 2], ["cat", "dog"], "a label 2"),
        ([0, -5], ["cat", "dog"], "a label -5"),
    ],
)
def test_data_that_cannot_be_scored_is_one_sentence(
    known: SimpleNamespace, labels: list[int], classes: list[str] | None, message: str
) -> None:
    data = known.Rows([known.sample(label=y) for y in labels], classes)
    with pytest.raises(known.DataError, match=message) as caught:
        ZeroShot(data=data, prompts="{}").evaluate(known.Model(torch.eye(2, 8), known.hashed))
    assert "\n" not in str(caught.value)


def test_a_diverged_model_has_no_accuracy(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(label=0), known.sample(label=1)], CLASSES)
    image_ND = torch.eye(2, 8)
    image_ND[1, 3] = torch.nan
    with pytest.raises(Diverged, match="1 of 2 image"):
        ZeroShot(data=data, prompts="{}").evaluate(known.Model(image_ND, known.hashed))


def test_a_class_is_the_mean_of_all_80_templates(known: SimpleNamespace) -> None:
    model = known.Model(torch.eye(2, 8), known.hashed)
    evaluator = ZeroShot(data=known.Rows([]), prompts="clip80")
    got = zero_shot.class_embeddings(model, CLASSES[:2], evaluator.templates)
    for name, row in zip(CLASSES, got, strict=False):
        texts = [known.hashed(t.replace("{}", name)).double() for t in evaluator.templates]
        assert len(set(evaluator.templates)) == len(texts) == 80
        mean = torch.stack([text / text.norm() for text in texts]).mean(dim=0)
        assert torch.allclose(row.double(), mean / mean.norm(), atol=1e-6)


def test_classes_whose_texts_are_the_same_to_the_model_are_told(
    known: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()

    def unknown_dogs(text: str) -> torch.Tensor:
        return known.hashed("unknown" if "dog" in text or "cow" in text else text)

    names = ["dog", "Dog", "cat", "cow"]
    for _ in range(2):
        zero_shot.class_embeddings(known.Model(torch.eye(2, 8), unknown_dogs), names, ["a {}", "the {}"])
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "the texts of 2 of 4 classes are the same to the model as those of others: dog, cow"
    ]


def test_spellings_of_one_name_are_not_told(known: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    model = known.Model(torch.eye(2, 8), lambda text: known.hashed(text.lower()))
    zero_shot.class_embeddings(model, ["crane", "Crane", "cat"], ["a {}"])
    assert not caplog.records
