"""Crisscrossed Captions against scipy and naive loops, on files made here and on released ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from vlc_plugin_eval.crisscrossed import CrissCrossed
from vlc_plugin_eval.crisscrossed_correlation import bootstrap, ranks, spearman
from vlc_plugin_eval.crisscrossed_files import Caption, number_of, read_captions, read_ratings
from vlc_plugin_eval.crisscrossed_ranks import query_ranks

IMAGES = 12
NAME = "COCO_val2014_{:012d}.jpg"


def coco(image: int) -> int:
    """The number of a made-up image."""
    return 100 + 7 * image


def sentence(image: int, which: int) -> int:
    """The number of one of its two captions."""
    return 1000 + 10 * image + which


class World(SimpleNamespace):
    """Files of all three tasks, the data and a model that knows each image and text by heart."""

    def evaluator(self, **options: Any) -> CrissCrossed:
        files = [str(self.folder / f"{task}.csv") for task in ("sts", "sis", "sits")]
        said = {"ratings": files, "captions": str(self.folder / "captions.json"), "samples": 50, **options}
        return CrissCrossed(data=self.data, **said)


@pytest.fixture
def world(known: SimpleNamespace, tmp_path: Path) -> World:
    generator = torch.Generator().manual_seed(0)
    image_ND = normalize(torch.randn(IMAGES, 6, generator=generator), dim=1)
    text = {f"text {i} {n}": normalize(image_ND[i] + 0.4 * torch.randn(6, generator=generator), dim=0)
            for i in range(IMAGES) for n in range(2)}  # fmt: skip
    rng = np.random.default_rng(0)
    said: dict[str, dict[tuple[int, int], float]] = {"sts": {}, "sis": {}, "sits": {}}
    for task in said:
        for a, b in itertools.product(range(IMAGES), repeat=2):
            if a != b and rng.random() < 0.4:
                said[task][a, b] = float(rng.integers(0, 51)) / 10
    heads = {"sts": "caption1,caption2", "sis": "image1,image2", "sits": "caption,image"}
    for task, head in heads.items():
        left, right = ("image" in side for side in head.split(","))
        lines = [
            f"{NAME.format(coco(a)) if left else f'COCO_val2014:sentid:{sentence(a, 0)}'},"
            f"{NAME.format(coco(b)) if right else f'COCO_val2014:sentid:{sentence(b, 1)}'},{score},x2x"
            for (a, b), score in said[task].items()
        ]
        (tmp_path / f"{task}.csv").write_text("\n".join([f"{head},agg_score,sampling_method", *lines]) + "\n")
    rows = [{"id": sentence(i, n), "image_id": coco(i), "caption": f"text {i} {n}"}
            for i in range(IMAGES) for n in range(2)]  # fmt: skip
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": rows}))
    data = known.Rows([known.sample(key=f"val/{NAME.format(coco(i))}") for i in range(IMAGES)])
    model = known.Model(image_ND, lambda t: text[t])
    return World(folder=tmp_path, data=data, model=model, image=image_ND, text=text, said=said)


def naive_recall(
    query: list[Tensor], candidate: list[Tensor], relevant: set[tuple[int, int]], k: int, same: bool
) -> Any:
    hits = []
    for q in sorted({q for q, _ in relevant}):
        order = [c for c in range(len(candidate)) if not (same and c == q)]
        order.sort(key=lambda c: -float(query[q] @ candidate[c]))
        best = next(place for place, c in enumerate(order) if (q, c) in relevant)
        hits.append(best < k)
    return sum(hits) / len(hits), len(hits)


def test_every_direction_of_retrieval_is_a_naive_loops(world: World) -> None:
    metrics = world.evaluator(positive=3.5, positive_images=3.0).evaluate(world.model).metrics
    image = list(world.image)
    text = [world.text[f"text {i} {n}"] for i in range(IMAGES) for n in range(2)]
    least = {"sts": 3.5, "sis": 3.0, "sits": 3.5}
    alike = {
        task: {pair for pair, score in pairs.items() if score >= least[task]} for task, pairs in world.said.items()
    }
    assert any(3.0 <= score < 3.5 for score in world.said["sis"].values())
    i2t = {(i, 2 * i + n) for i in range(IMAGES) for n in range(2)} | {(b, 2 * a) for a, b in alike["sits"]}
    t2t = {(2 * i + n, 2 * i + 1 - n) for i in range(IMAGES) for n in range(2)}
    for a, b in alike["sts"]:
        t2t |= {(2 * a, 2 * b + 1), (2 * b + 1, 2 * a)}
    i2i = alike["sis"] | {(b, a) for a, b in alike["sis"]}
    t2i = {(t, i) for i, t in i2t}
    cases = {"i2t": (image, text, i2t), "t2i": (text, image, t2i), "t2t": (text, text, t2t), "i2i": (image, image, i2i)}
    for name, (query, candidate, relevant) in cases.items():
        for k in (1, 5, 10):
            recall, queries = naive_recall(query, candidate, relevant, k, name in ("t2t", "i2i"))
            assert metrics[f"{name}_recall@{k}"] == pytest.approx(recall), (name, k)
            assert metrics[f"{name}_queries"] == queries
    assert 0 < metrics["i2i_recall@1"] < 1
    assert (metrics["images"], metrics["texts"]) == (IMAGES, 2 * IMAGES)


def test_correlations_are_near_scipys_on_all_pairs_and_the_same_every_time(world: World) -> None:
    """With one pair a query and all queries the bootstrap would be scipy's; with many it scatters around it."""
    got, again = (world.evaluator(samples=400).evaluate(world.model).metrics for _ in range(2))
    assert got == again
    vectors = {
        "sts": lambda a, b: world.text[f"text {a} 0"] @ world.text[f"text {b} 1"],
        "sis": lambda a, b: world.image[a] @ world.image[b],
        "sits": lambda a, b: world.text[f"text {a} 0"] @ world.image[b],
    }
    for task, similarity in vectors.items():
        pairs = world.said[task]
        whole = spearmanr(list(pairs.values()), [float(similarity(a, b)) for a, b in pairs]).statistic
        assert abs(got[task] - whole) < 0.15
        assert 0 < got[f"{task}_deviation"] < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_spearman_is_scipys_with_and_without_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, 40).astype(float), rng.normal(size=40)
    np.testing.assert_allclose(ranks(one), rankdata(one))
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert spearman(other, other**3) == pytest.approx(1.0)
    assert spearman(other, -other) == pytest.approx(-1.0)


def test_who_finds_everything_alike_agrees_with_nobody() -> None:
    assert spearman(np.ones(5), np.arange(5.0)) == 0.0


def test_a_sample_is_half_of_the_queries_with_one_pair_each() -> None:
    """A loop that draws by the same generator, and scipy's coefficient."""
    rng = np.random.default_rng(3)
    query = np.array([7, 3, 3, 9, 7, 1, 3, 9, 4, 4], dtype=np.int64)
    human, model = rng.normal(size=10), rng.normal(size=10)
    draws = np.random.default_rng(5)
    expected = []
    for _ in range(30):
        half = draws.permutation(5)[:2]
        own = [np.flatnonzero(query == np.unique(query)[q]) for q in half]
        places = draws.integers([len(pairs) for pairs in own])
        chosen = [pairs[place] for pairs, place in zip(own, places, strict=True)]
        assert len(set(query[chosen])) == 2
        expected.append(spearmanr(human[chosen], model[chosen]).statistic)
    found = bootstrap(query, human, model, samples=30, seed=5)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.deviation == pytest.approx(np.std(expected))
    assert found.queries == 5


def test_one_pair_a_query_and_perfect_agreement_is_one() -> None:
    x = np.random.default_rng(0).normal(size=30)
    assert bootstrap(np.arange(30), x, np.exp(x), samples=20, seed=0)[:2] == pytest.approx((1.0, 0.0))


def test_blocks_do_not_change_ranks_and_ties_come_first() -> None:
    x = normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    pairs = torch.tensor([[0, 3], [0, 5], [4, 1], [8, 2], [8, 2]])
    whole = query_ranks(x, x, pairs, same=True)
    assert torch.equal(whole, query_ranks(x, x, pairs, same=True, rows=1))
    assert len(whole) == 3
    assert query_ranks(torch.ones(3, 2), torch.ones(5, 2), torch.tensor([[1, 0]])).tolist() == [5]
    assert query_ranks(torch.ones(3, 2), torch.ones(3, 2), torch.tensor([[1, 0]]), same=True).tolist() == [2]


def test_missing_images_are_counted_and_their_pairs_left_out(world: World, known: SimpleNamespace) -> None:
    whole = world.evaluator().evaluate(world.model)
    world.data.samples = [*world.data.samples[: IMAGES // 2], known.sample(key="unknown.jpg")]
    some = known.Model(torch.cat([world.image[: IMAGES // 2], torch.ones(1, 6)]), lambda t: world.text[t])
    part = world.evaluator(max_missing=1).evaluate(some)
    assert whole.details["missing_pairs"] == {"sts": 0, "sis": 0, "sits": 0}
    missing = part.details["missing_pairs"]
    assert isinstance(missing, dict)
    assert missing["sts"] == 0, "captions need no images"
    lost = sum(max(a, b) >= IMAGES // 2 for a, b in world.said["sis"])
    assert missing["sis"] == lost > 0
    assert missing["sits"] == sum(b >= IMAGES // 2 for _, b in world.said["sits"]) > 0
    assert part.details["images_without_number"] == 1
    assert (part.metrics["images"], part.metrics["texts"]) == (IMAGES / 2, IMAGES)
    assert part.metrics["sts"] == whole.metrics["sts"]
    table = part.tables["ratings"]
    assert table.shown, "what is left out is told where the figures are"
    assert [int(row[1]) - int(row[2]) for row in table.rows] == list(missing.values())


def test_without_any_rated_image_it_says_so(world: World, known: SimpleNamespace) -> None:
    data = known.Rows([known.sample(key="999999.jpg")])
    files = [str(world.folder / f"{task}.csv") for task in ("sis", "sits")]
    evaluator = CrissCrossed(data=data, ratings=files, captions=str(world.folder / "captions.json"))
    with pytest.raises(known.DataError, match=r"none of .* rated pairs has its images among the 1 that") as caught:
        evaluator.evaluate(known.Model(torch.ones(1, 6), lambda t: world.text[t]))
    assert "\n" not in str(caught.value)


def test_missing_images_are_refused_before_anything_is_encoded(world: World, known: SimpleNamespace) -> None:
    """One of twelve photographs is not there: the message counts its pairs, and what it advises is enough."""
    world.data.samples = world.data.samples[1:]
    model = known.Model(world.image[1:], lambda t: world.text[t])
    lost = sum(0 in pair for pair in world.said["sis"])
    with pytest.raises(known.DataError, match=rf"{lost} of {len(world.said['sis'])} pairs rated for sis") as caught:
        world.evaluator().evaluate(model)
    assert f"the image {coco(0)}" in str(caught.value)
    assert model.encodings == 0
    lost_sits = sum(b == 0 for _, b in world.said["sits"])
    allowed = max(lost / len(world.said["sis"]), lost_sits / len(world.said["sits"]))
    assert world.evaluator(max_missing=allowed).evaluate(model).details["missing_pairs"] == {
        "sts": 0, "sis": lost, "sits": lost_sits,
    }  # fmt: skip


def test_an_image_that_turns_out_unreadable_is_missing_too(world: World, known: SimpleNamespace) -> None:
    model = known.Model(world.image, lambda t: world.text[t], unreadable=[3])
    with pytest.raises(known.DataError, match=rf"the image {coco(3)}: give all of it, or .*max_missing"):
        world.evaluator().evaluate(model)


def test_missing_captions_are_named(world: World, known: SimpleNamespace) -> None:
    file = world.folder / "captions.json"
    rows = json.loads(file.read_text())["annotations"]
    file.write_text(json.dumps({"annotations": [row for row in rows if row["id"] != sentence(2, 0)]}))
    with pytest.raises(known.DataError, match=rf"pairs rated for sts .*the caption {sentence(2, 0)}"):
        world.evaluator().evaluate(world.model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("caption1,caption2,score\n", "_raw.csv"),
        ("", "begins with ''"),
        ("image1,image2,agg_score,sampling_method\nCOCO_1.jpg,COCO_2.jpg,much,i2i\n", "line 2"),
        (
            "image1,image2,agg_score,sampling_method\nCOCO_1.jpg,COCO_2.jpg,1,i2i\nno number,COCO_2.jpg,1,i2i\n",
            "line 3",
        ),
        ("image1,image2,agg_score,sampling_method\nCOCO_1.jpg,COCO_2.jpg,nan,i2i\n", "line 2"),
        ("image1,image2,agg_score,sampling_method\nCOCO_1.jpg\n", "line 2"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_file_of_ratings_is_one_sentence(
    tmp_path: Path, known: SimpleNamespace, content: str | None, message: str
) -> None:
    file = tmp_path / "sis.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(known.DataError, match=message) as caught:
        read_ratings([str(file)])
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"annotations": [{"id": 5, "image_id": 32001, "caption": "a dog"}], "images": []}),
        json.dumps({"images": [{"filename": NAME.format(32001), "sentences": [{"sentid": 5, "raw": "a dog"}]}]}),
        json.dumps({"image": "images/000000032001.jpg", "captions": ["a dog"], "caption_ids": [5]}) + "\n",
    ],
)
def test_captions_are_read_from_every_form(tmp_path: Path, content: str) -> None:
    (tmp_path / "captions").write_text(content)
    assert read_captions(str(tmp_path / "captions")) == {5: Caption(32001, "a dog")}


@pytest.mark.parametrize("content", ["no json", "[]", '{"annotations": [{"id": 1}]}', '{"other": 1}'])
def test_captions_in_no_known_form_are_one_sentence(tmp_path: Path, known: SimpleNamespace, content: str) -> None:
    (tmp_path / "captions").write_text(content)
    with pytest.raises(known.DataError, match=r"holds no numbered captions.*dataset_coco\.json") as caught:
        read_captions(str(tmp_path / "captions"))
    assert "\n" not in str(caught.value)


def test_numbers_are_read_from_names() -> None:
    names = ["COCO_val2014_000000032001.jpg", "images/000000262227.jpg", "COCO_val2014:sentid:648388", "dog.jpg", ""]
    assert [number_of(name) for name in names] == [32001, 262227, 648388, None, None]


def test_the_released_ratings_are_read(shared_data: Path) -> None:
    files = sorted((shared_data / "cxc_ratings").glob("*.csv"))
    found = read_ratings([str(file) for file in files])
    assert {task: len(rows) for task, rows in found.items()} == {"sts": 1500, "sis": 1500, "sits": 1500}
    assert found["sis"][0] == (32001, 432818, 0.5)
    assert found["sits"][0] == (648388, 431431, 1.8)
    for rows in found.values():
        pairs, scores = np.array([row[:2] for row in rows]), np.array([row.score for row in rows])
        assert ((scores >= 0) & (scores <= 5)).all()
        # A model that has people's own opinion, up to noise, agrees with them by as much.
        noisy = scores + np.random.default_rng(0).normal(size=len(scores))
        got = bootstrap(pairs[:, 0], scores, noisy, samples=200, seed=0)
        assert abs(got.mean - spearmanr(scores, noisy).statistic) < 0.05


def test_real_photographs_with_real_ratings(shared_data: Path, known: SimpleNamespace, tmp_path: Path) -> None:
    """Ratings of same-image pairs, put back into the released form by the captions' numbers."""
    photographs = [json.loads(line) for line in (shared_data / "coco_mini" / "pairs.jsonl").read_text().splitlines()]
    numbers: dict[tuple[int, str], int] = {}
    for row in photographs:
        numbers |= {(row["coco_id"], t): n for t, n in zip(row["captions"], row["caption_ids"], strict=True)}
    joined = [json.loads(line) for line in (shared_data / "coco_mini" / "cxc_join.jsonl").read_text().splitlines()]
    sits = [row for row in joined if row["task"] == "sits"]
    lines = [
        f"COCO_val2014:sentid:{numbers[r['image'], r['caption']]},{NAME.format(r['image'])},{r['score']},x"
        for r in sits
    ]
    (tmp_path / "sits.csv").write_text("\n".join(["caption,image,agg_score,sampling_method", *lines]))
    data = known.Rows([known.sample(key=row["image"]) for row in photographs])
    image = {row["coco_id"]: known.hashed(str(row["coco_id"]), 64) for row in photographs}
    home = {text: row["coco_id"] for row in photographs for text in row["captions"]}
    model = known.Model(torch.stack(list(image.values())), lambda t: image[home[t]] + 0.3 * known.hashed(t, 64))
    got = CrissCrossed(
        data=data,
        ratings=[str(tmp_path / "sits.csv")],
        captions=str(shared_data / "coco_mini" / "pairs.jsonl"),
        samples=50,
    ).evaluate(model)
    assert got.metrics["images"] == len(photographs)
    assert got.metrics["i2t_recall@1"] > 0.95
    assert got.metrics["t2t_recall@1"] > 0.95
    assert "i2i_recall@1" not in got.metrics
    assert -1 <= got.metrics["sits"] <= 1
    assert got.details["missing_pairs"] == {"sits": 0}
