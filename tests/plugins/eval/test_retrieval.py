from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vlc_core.errors import Diverged
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_eval.gallery import build_gallery
from vlc_plugin_eval.retrieval import Retrieval


def test_rows_of_one_image_and_equal_texts_are_merged() -> None:
    keys = ["a", "b", "a", "", "", "c"]
    captions = [["x", "y"], ["y", "y"], ["z", "x"], ["u"], ["v"], []]
    gallery = build_gallery(keys, captions)
    assert gallery.rows.tolist() == [0, 1, 3, 4]
    assert gallery.texts == ["x", "y", "z", "u", "v"]
    assert gallery.pairs.tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [2, 3], [3, 4]]
    assert (gallery.repeated, gallery.without_text) == (1, 1)


def test_a_small_case_by_hand(known: SimpleNamespace) -> None:
    """Three images on axes; their texts at angles chosen so that the ranks are 1, 2 and 3."""
    data = known.Rows(
        [known.sample(["p", " ", "q"], key="0"), known.sample(["r"], key="1"), known.sample(["s"], key="2")]
    )
    texts = {"p": [1, 0.1, 0.2], "q": [0, 0, 1], "r": [0.9, 0.5, 0.1], "s": [0.3, 1, 0.0]}
    model = known.Model(torch.eye(3), lambda text: torch.tensor(texts[text], dtype=torch.float32))
    got = Retrieval(data=data).evaluate(model)
    # Image 0 finds p first; image 1 finds s before r; image 2 finds q, p and r before s.
    # Text p finds image 0; q finds image 2, and its own ties with image 1; r finds 0; s finds 1 and 0.
    assert got.metrics == pytest.approx(
        {
            "i2t_recall@1": 1 / 3, "i2t_recall@5": 1.0, "i2t_recall@10": 1.0, "i2t_median_rank": 2.0,
            "t2i_recall@1": 1 / 4, "t2i_recall@5": 1.0, "t2i_recall@10": 1.0, "t2i_median_rank": 2.5,
            "mean_recall": (1 / 3 + 1 / 4 + 4) / 6, "images": 3.0, "texts": 4.0,
        }
    )  # fmt: skip


def test_repeated_rows_change_nothing(known: SimpleNamespace) -> None:
    generator = torch.Generator().manual_seed(0)
    image_ND = torch.randn(12, 8, generator=generator)
    once = known.Rows([known.sample([f"{i} one", f"{i} two"], key=str(i)) for i in range(12)])
    twice = known.Rows([known.sample([f"{i} {n}"], key=str(i)) for n in ("one", "two") for i in range(12)])
    a = Retrieval(data=once).evaluate(known.Model(image_ND, known.hashed))
    b = Retrieval(data=twice).evaluate(known.Model(image_ND.repeat(2, 1), known.hashed))
    assert a.metrics == b.metrics
    assert (a.metrics["images"], a.metrics["texts"]) == (12, 24)
    assert (a.details["repeated_images"], b.details["repeated_images"]) == (0, 12)


def test_a_text_of_many_images_is_found_by_each(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(["a dog"], key=str(i)) for i in range(4)] + [known.sample(["a cat"], key="9")])
    model = known.Model(torch.stack([known.hashed("a dog")] * 4 + [known.hashed("a cat")]), known.hashed)
    got = Retrieval(data=data).evaluate(model)
    assert got.metrics["texts"] == 2
    assert got.metrics["mean_recall"] == 1
    direction, queries, candidates, recall, chance, *_ = got.tables["directions"].rows[1]
    assert (direction, queries, candidates, recall) == ("text to image", 2, 5, 1)
    assert chance == pytest.approx((4 / 5 + 1 / 5) / 2)


def test_a_collapsed_model_finds_nothing(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample([f"text {i}"], key=str(i)) for i in range(30)])
    metrics = Retrieval(data=data).evaluate(known.Model(torch.ones(30, 5), lambda text: torch.ones(5))).metrics
    assert metrics["mean_recall"] == 0
    assert metrics["i2t_median_rank"] == metrics["t2i_median_rank"] == 30


def test_class_names_serve_where_there_are_no_captions(known: SimpleNamespace) -> None:
    names = ["zero", "one", "two"]
    data = known.Rows([known.sample(label=i % 3, key=str(i)) for i in range(9)] + [known.sample(key="x")], names)
    image_ND = torch.stack([known.hashed(f"a {names[i % 3]}") for i in range(9)] + [torch.ones(8)])
    got = Retrieval(data=data, prompts=["a {}", "the {}"]).evaluate(known.Model(image_ND, known.hashed))
    assert (got.metrics["images"], got.metrics["texts"]) == (9, 6)
    assert got.metrics["i2t_recall@1"] == 1
    assert got.details["images_without_text"] == 1
    assert got.details["relevant_pairs"] == 18


def test_captions_come_before_prompts(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(["mine"], label=0, key="0"), known.sample([" "], label=1, key="1")], ["u", "v"])
    model = known.Model(torch.eye(2, 8), known.hashed)
    Retrieval(data=data, prompts="a {}").evaluate(model)
    assert model.calls == [["mine", "a v"]]


@pytest.mark.parametrize(
    ("labels", "classes", "unreadable", "message"),
    [
        ([0, 1], ["cat", "dog"], [], "prompts: clip80"),
        ([-1, -1], None, [], "none of the 2 samples"),
        ([-1, -1], None, [0, 1], "could be read"),
        ([0, 7], ["cat", "dog"], [], "a label 7"),
    ],
)
def test_data_without_texts_is_one_sentence(
    known: SimpleNamespace, labels: list[int], classes: list[str] | None, unreadable: list[int], message: str
) -> None:
    data = known.Rows([known.sample(label=y, key=str(i)) for i, y in enumerate(labels)], classes)
    with pytest.raises(known.DataError, match=message) as caught:
        Retrieval(data=data).evaluate(known.Model(torch.eye(2, 8), known.hashed, unreadable=unreadable))
    assert "\n" not in str(caught.value)


def test_a_diverged_model_has_no_recall(known: SimpleNamespace) -> None:
    data = known.Rows([known.sample([str(i)], key=str(i)) for i in range(3)])
    model = known.Model(torch.eye(3), lambda text: torch.full((3,), torch.inf))
    with pytest.raises(Diverged, match="3 of 3 text"):
        Retrieval(data=data).evaluate(model)


def test_real_captions_are_read_and_found(known: SimpleNamespace, shared_data: Path) -> None:
    """Photographs with five captions each: an embedding that knows the first caption finds it."""
    data = Manifest(path=str(shared_data / "flickr8k" / "pairs.jsonl"), text="captions")
    samples = [data[i] for i in range(120)]
    assert all(len(s.texts) == 5 for s in samples)
    image_ND = torch.stack([known.hashed(s.texts[0].strip()) for s in samples])
    got = Retrieval(data=known.Rows(samples)).evaluate(known.Model(image_ND, known.hashed))
    assert got.metrics["images"] == 120
    assert 550 <= got.metrics["texts"] <= 600
    assert got.metrics["i2t_recall@1"] > 0.9 > got.metrics["t2i_recall@1"] > 0.15
