"""Crisscrossed Captions: which images and captions people find alike, and whether the model agrees.

Shapes: N images, M captions, P pairs, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component, PathLike
from vlc_plugin_eval.crisscrossed_correlation import Correlation, bootstrap
from vlc_plugin_eval.crisscrossed_files import (
    TASKS,
    Caption,
    Rating,
    Task,
    number_of,
    read_captions,
    read_ratings,
)
from vlc_plugin_eval.crisscrossed_missing import check_missing, numbers_of
from vlc_plugin_eval.crisscrossed_ranks import query_ranks
from vlc_plugin_eval.feature_cache import image_features
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.recalls import DEPTHS, recalls

if TYPE_CHECKING:
    from vlc_core.inference import Inference

FEWEST = 4
"""Queries that a correlation needs: a sample of half of them has two pairs."""


class Items(NamedTuple):
    """What is embedded of one kind, images or captions.

    Attributes:
        embed: (N, D) float32, rows of unit length.
        rows: Where each is, by its number.
    """

    embed: Tensor
    rows: Mapping[int, int]


class Relevant(NamedTuple):
    """Who finds whom in one direction of retrieval.

    Attributes:
        queries: What is asked with.
        candidates: What is found.
        pairs: (P, 2) int64, rows of both that belong together.
        same: Whether candidates are the queries.
    """

    queries: Tensor
    candidates: Tensor
    pairs: Tensor
    same: bool


@final
class CrissCrossed(Evaluator):
    """Retrieval between and within images and captions, and the correlation of similarities with people's ratings.

    ``i2t``, ``t2i``, ``t2t`` and ``i2i`` find captions or images by captions or images: relevant are an image and its
    own captions, captions of one image, and all pairs that people rated ``positive`` or higher, two images
    ``positive_images`` or higher. A query never finds itself, and one without anything relevant is not asked. ``sts``,
    ``sis`` and ``sits`` are Spearman's correlations of cosines with ratings of captions, of images and of a caption
    with an image: the mean over samples of half of the queries (the left column of the file), each with one of its
    rated pairs at random. A model that finds all pairs equally alike has correlation 0.

    Images are known by the number at the end of their key. A pair whose image or caption is not there ends the
    evaluation before anything is encoded, unless ``max_missing`` allows for it; it is then left out, and counted in the
    details.

    Metrics, as far as there are ratings: ``sts``, ``sis``, ``sits`` and each with ``_deviation``; for each direction
    ``_recall@1``, ``@5``, ``@10`` and ``_queries``; ``images`` and ``texts``.

    Source: Parekh et al., EACL 2021, arXiv 2004.15020; section 3 has the two thresholds.

    Args:
        data: The images, such as COCO's.
        ratings: The released files: sts_*.csv, sis_*.csv and sits_*.csv, any of them.
        captions: Where captions stand with their numbers: COCO's captions_*.json, Karpathy's dataset_coco.json, or
            JSON lines with image, captions and caption_ids.
        positive: The rating from which on two captions, or a caption and an image, are relevant to each other.
        positive_images: The same for two images.
        max_missing: The share of each file's rated pairs that may lack an image or a caption here.
        samples: Of the bootstrap.
        seed: Draws them.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        ratings: Annotated[list[str], PathLike(), Field(min_length=1)],
        captions: Annotated[str, PathLike()],
        positive: Annotated[float, Field(ge=0, le=5)] = 3.0,
        positive_images: Annotated[float, Field(ge=0, le=5)] = 2.5,
        max_missing: Annotated[float, Field(ge=0, le=1)] = 0.0,
        samples: Annotated[int, Field(ge=2)] = 1000,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.data = data
        self.ratings = ratings
        self.captions = captions
        self.positive: Mapping[Task, float] = {"sts": positive, "sis": positive_images, "sits": positive}
        self.max_missing = max_missing
        self.samples = samples
        self.seed = seed

    def evaluate(self, model: Inference) -> Evaluation:
        """Encodes the images and the captions that are asked for, and compares.

        Raises:
            DataError: A file cannot be used, or more rated pairs than may lack their images or captions do.
        """
        ratings, captions = read_ratings(self.ratings), read_captions(self.captions)
        if self.max_missing < 1:
            check_missing(ratings, captions, numbers_of(self.data), allowed=self.max_missing)
        found = image_features(model, self.data)
        images = numbered(found.keys, found.embed)
        check_missing(ratings, captions, images.rows, allowed=self.max_missing)
        present = [number for number, caption in captions.items() if caption.image in images.rows]
        texts = self._texts(model, captions, present, ratings)
        kept = {task: _kept(ratings[task], *_sides(task, images, texts)) for task in TASKS}
        rated = {task: len(ratings[task]) for task in TASKS if ratings[task]}
        metrics, correlations = self._correlations(kept, images, texts)
        metrics |= _recalls(self._relevant(kept, images, texts, captions, present))
        return Evaluation(
            metrics=metrics | {"images": float(len(images.rows)), "texts": float(len(present))},
            tables={"ratings": _ratings_table(rated, kept, correlations)},
            details={
                "rated_pairs": dict(rated),
                "missing_pairs": {task: count - len(kept[task]) for task, count in rated.items()},
                "images_without_number": sum(number_of(key) is None for key in found.keys),
                "skipped": len(found.skipped),
                "positive": dict(self.positive),
                "samples": self.samples,
            },
        )

    def _texts(
        self,
        model: Inference,
        captions: Mapping[int, Caption],
        present: list[int],
        ratings: Mapping[Task, list[Rating]],
    ) -> Items:
        """Captions of images that are there, and then others that are rated; equal texts are encoded once."""
        rated = [n for one in ratings["sts"] for n in one[:2]] + [one.left for one in ratings["sits"]]
        numbers = list(dict.fromkeys([*present, *(n for n in rated if n in captions)]))
        distinct = list(dict.fromkeys(captions[n].text for n in numbers))
        if not distinct:
            raise DataError(
                f"crisscrossed needs captions: none in {self.captions} is of an image that was read, or is rated"
            )
        place = {text: row for row, text in enumerate(distinct)}
        embed_MD = unit_rows(model.encode_texts(distinct), what="text")
        rows = torch.tensor([place[captions[n].text] for n in numbers])
        return Items(embed_MD[rows], {n: row for row, n in enumerate(numbers)})

    def _correlations(
        self, kept: Mapping[Task, list[Rating]], images: Items, texts: Items
    ) -> tuple[dict[str, float], dict[Task, Correlation]]:
        metrics: dict[str, float] = {}
        found: dict[Task, Correlation] = {}
        for task, ratings in kept.items():
            if len({one.left for one in ratings}) < FEWEST:
                continue
            left, right = _sides(task, images, texts)
            a_P, b_P = _pairs([(one.left, one.right) for one in ratings], left, right).unbind(dim=1)
            found[task] = bootstrap(
                np.array([one.left for one in ratings], dtype=np.int64),
                np.array([one.score for one in ratings]),
                (left.embed[a_P] * right.embed[b_P]).sum(dim=1).double().numpy(),
                samples=self.samples,
                seed=self.seed,
            )
            metrics |= {task: found[task].mean, f"{task}_deviation": found[task].deviation}
        return metrics, found

    def _relevant(
        self,
        kept: Mapping[Task, list[Rating]],
        images: Items,
        texts: Items,
        captions: Mapping[int, Caption],
        present: list[int],
    ) -> dict[str, Relevant]:
        shown = Items(texts.embed[: len(present)], {n: texts.rows[n] for n in present})
        own = [(number, captions[number].image) for number in present]
        beside: dict[int, list[int]] = {}
        for number, image in own:
            beside.setdefault(image, []).append(number)
        companions = [(a, b) for numbers in beside.values() for a in numbers for b in numbers if a != b]
        t2i = _pairs([*own, *self._alike("sits", kept)], shown, images)
        t2t = _pairs([*companions, *_both_ways(self._alike("sts", kept))], shown, shown)
        i2i = _pairs(_both_ways(self._alike("sis", kept)), images, images)
        return {
            "i2t": Relevant(images.embed, shown.embed, t2i.flip(1), same=False),
            "t2i": Relevant(shown.embed, images.embed, t2i, same=False),
            "t2t": Relevant(shown.embed, shown.embed, t2t, same=True),
            "i2i": Relevant(images.embed, images.embed, i2i, same=True),
        }

    def _alike(self, task: Task, kept: Mapping[Task, list[Rating]]) -> list[tuple[int, int]]:
        """Pairs that people found alike; nothing finds itself, but a caption and an image may share a number."""
        least = self.positive[task]
        same = task != "sits"
        return [
            (one.left, one.right) for one in kept[task] if one.score >= least and not (same and one.left == one.right)
        ]


def numbered(keys: list[str], embed_ND: Tensor) -> Items:
    """Images by the number in their key; of several with one number the first, of those without none."""
    rows: dict[int, int] = {}
    kept: list[int] = []
    for row, key in enumerate(keys):
        number = number_of(key)
        if number is not None and number not in rows:
            rows[number] = len(kept)
            kept.append(row)
    return Items(unit_rows(embed_ND[kept], what="image"), rows)


def _sides(task: Task, images: Items, texts: Items) -> tuple[Items, Items]:
    return {"sts": (texts, texts), "sis": (images, images), "sits": (texts, images)}[task]


def _kept(ratings: list[Rating], left: Items, right: Items) -> list[Rating]:
    return [one for one in ratings if one.left in left.rows and one.right in right.rows]


def _both_ways(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [*pairs, *((b, a) for a, b in pairs)]


def _pairs(pairs: Iterable[tuple[int, int]], left: Items, right: Items) -> Tensor:
    """Pairs of numbers as rows, (P, 2) int64; those that are not there are left out."""
    rows = [(left.rows[a], right.rows[b]) for a, b in pairs if a in left.rows and b in right.rows]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)


def _recalls(relevant: Mapping[str, Relevant]) -> dict[str, float]:
    """The recalls of each direction in which anything is to be found, and how many ask."""
    metrics: dict[str, float] = {}
    for name, one in relevant.items():
        rank_Q = query_ranks(one.queries, one.candidates, one.pairs, same=one.same)
        if len(rank_Q) > 0:
            metrics |= {f"{name}_recall@{k}": share for k, share in zip(DEPTHS, recalls(rank_Q), strict=True)}
            metrics[f"{name}_queries"] = float(len(rank_Q))
    return metrics


def _ratings_table(
    rated: Mapping[Task, int], kept: Mapping[Task, list[Rating]], found: Mapping[Task, Correlation]
) -> Table:
    rows: list[tuple[str | int | float, ...]] = []
    for task, count in rated.items():
        said = found.get(task)
        values = ("too few", "") if said is None else (said.mean, said.deviation)
        rows.append((task, count, len(kept[task]), 0 if said is None else said.queries, *values))
    return Table(("task", "rated pairs", "pairs used", "queries", "Spearman", "deviation"), tuple(rows), shown=True)
