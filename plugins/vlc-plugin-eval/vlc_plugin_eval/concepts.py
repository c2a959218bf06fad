"""Concept retrieval: what a model takes for alike.

Shapes: Q queries, V concepts of the vocabulary, N samples, C classes, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.nearest import did_you_mean
from vlc_core.options import Component, PathLike
from vlc_core.terminal import some
from vlc_plugin_eval.against import load_against, name_of
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.labelled import Labelled, labelled
from vlc_plugin_eval.templates import templates_of
from vlc_plugin_eval.vocabulary import distinct, fold, read_vocabulary
from vlc_plugin_eval.zero_shot import class_embeddings

if TYPE_CHECKING:
    from vlc_core.inference import Inference

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]


class Nearest(NamedTuple):
    """The nearest candidates of each query.

    Attributes:
        names: Q lists of K concepts, the nearest first.
        cosine: (Q, K) float32.
    """

    names: list[list[str]]
    cosine: Tensor


@final
class ConceptRetrieval(Evaluator):
    """Lists, for each query concept, the nearest other concepts of a vocabulary.

    In ``space: text`` a concept is the mean of its prompts' unit embeddings, of unit length again; a query may be any
    text. In ``space: image`` it is the mean of the unit embeddings of its class's images, of unit length again; a
    query must be a class of ``data``. All queries are taken out of the vocabulary first, whatever their case. Of
    equal cosines the concept that comes first in the vocabulary is nearer. Classes without an image are left out.

    Metrics: ``mean_cosine``, of the nearest concept, over the queries; ``queries`` and ``vocabulary``, without the
    queries. With ``against``: ``against_mean_cosine``, and ``overlap@K``, the share of the K nearest that both models
    name. The table ``nearest`` has a row for each query and rank.

    Source: Yang et al., Unified Contrastive Learning in Image-Text-Label Space, CVPR 2022, the comparison of concepts
    retrieved with labels only and with pairs added.

    Args:
        queries: The concepts to look around.
        vocabulary: The concepts to find: a list, or a file with one on a line, or with a list of them in JSON. By
            default the class names of ``data``.
        data: Labelled images with class names; ``space: image`` needs them.
        space: Where to look, ``text`` or ``image``.
        prompts: Of ``space: text``: a set of templates, one template or a list of them, each with ``{}`` in it.
        top: How many to list.
        against: Another run, to show beside this one.
    """

    def __init__(
        self,
        *,
        queries: Texts,
        vocabulary: Texts | Annotated[str, PathLike()] | None = None,
        data: Annotated[Dataset, Component("dataset")] | None = None,
        space: Literal["text", "image"] = "text",
        prompts: Annotated[str | list[str], Component("prompts")] = "clip80",
        top: Annotated[int, Field(ge=1)] = 5,
        against: Annotated[str, PathLike()] | None = None,
    ) -> None:
        self.queries, self.vocabulary, self.data = queries, vocabulary, data
        self.space, self.top, self.against = space, top, against
        self.templates = templates_of(prompts)

    def evaluate(self, model: Inference) -> Evaluation:
        queries = list(distinct(self.queries).values())
        candidates = self._candidates(queries)
        without: list[str] = []
        if self.space == "image":
            self._check_classes([*queries, *candidates])
            candidates, without = self._with_images(model, queries, candidates)
        found = self._look(model, queries, candidates)
        other = None
        if self.against is not None:
            other = self._look(load_against(self.against, what="concept-retrieval"), queries, candidates)
        return Evaluation(
            metrics=_metrics(found, other, queries=len(queries), vocabulary=len(candidates)),
            tables={"nearest": self._table(queries, found, other)},
            details={
                "space": self.space,
                "prompts": list(self.templates) if self.space == "text" else [],
                "against": self.against,
                "without_images": without,
            },
        )

    def _candidates(self, queries: Sequence[str]) -> list[str]:
        """The vocabulary without the queries, each concept once."""
        concepts = self._concepts()
        asked = {fold(query) for query in queries}
        candidates = [concept for key, concept in concepts.items() if key not in asked]
        if not candidates:
            raise RecipeError(
                f"concept-retrieval has nothing to find: the vocabulary has {len(concepts)} concepts, and all of them "
                "are queries; give a larger one"
            )
        return candidates

    def _concepts(self) -> dict[str, str]:
        if self.vocabulary is None:
            return distinct(self._classes("as its vocabulary"))
        if isinstance(self.vocabulary, str):
            return read_vocabulary(self.vocabulary)
        return distinct(self.vocabulary)

    def _classes(self, purpose: str) -> list[str]:
        if self.data is None or not self.data.classes:
            raise RecipeError(
                f"concept-retrieval needs the class names of labelled images {purpose}: give `data`, or a "
                "`vocabulary` and `space: text`"
            )
        return self.data.classes

    def _check_classes(self, concepts: Sequence[str]) -> None:
        classes = distinct(self._classes("in `space: image`"))
        for concept in concepts:
            if fold(concept) not in classes:
                names = list(classes.values())
                hint = did_you_mean(concept, names) or f"; the classes are {some(names)}"
                raise RecipeError(
                    f"concept-retrieval: {concept!r} is no class of `data`, and `space: image` knows no other "
                    f"concepts{hint}"
                )

    def _look(self, model: Inference, queries: Sequence[str], candidates: Sequence[str]) -> Nearest:
        concepts = [*queries, *candidates]
        if self.space == "text":
            embed = class_embeddings(model, concepts, self.templates)
        else:
            embed = self._image_means(model, concepts)
        similarity_QV = embed[: len(queries)] @ embed[len(queries) :].T
        ordered = similarity_QV.sort(dim=1, descending=True, stable=True)
        top = min(self.top, len(candidates))
        names = [[candidates[column] for column in row] for row in ordered.indices[:, :top].tolist()]
        return Nearest(names, ordered.values[:, :top])

    def _with_images(
        self, model: Inference, queries: Sequence[str], candidates: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """The candidates that have an image, and the others."""
        images = self._images(model)
        shown = {fold(images.classes[label]) for label in images.y.unique().tolist()}
        lost = [query for query in queries if fold(query) not in shown]
        kept = [name for name in candidates if fold(name) in shown]
        if lost or not kept:
            what = f"the class {lost[0]!r}" if lost else "every class but the queries'"
            raise DataError(f"concept-retrieval: {what} is without an image in `data`: add images, or ask for others")
        return kept, [name for name in candidates if fold(name) not in shown]

    def _images(self, model: Inference) -> Labelled:
        if self.data is None:
            raise RecipeError("concept-retrieval: `space: image` needs `data`")
        return labelled(model, self.data, "embed", what="concept-retrieval (data)")

    def _image_means(self, model: Inference, concepts: Sequence[str]) -> Tensor:
        images = self._images(model)
        number = {key: row for row, key in enumerate(distinct(images.classes))}
        # Classes of one name are one concept.
        concept_C = torch.tensor([number[fold(name)] for name in images.classes], dtype=torch.int64)
        means_CD = class_means(unit_rows(images.x, what="image"), concept_C[images.y], len(number))
        return means_CD[[number[fold(concept)] for concept in concepts]]

    def _table(self, queries: Sequence[str], found: Nearest, other: Nearest | None) -> Table:
        columns: tuple[str, ...] = ("query", "rank", "concept", "cosine")
        if other is not None and self.against is not None:
            columns += (f"concept ({name_of(self.against)})", f"cosine ({name_of(self.against)})")
        rows: list[tuple[str | int | float, ...]] = []
        for q, query in enumerate(queries):
            for rank in range(found.cosine.shape[1]):
                shown = [found] if other is None else [found, other]
                cells = [cell for one in shown for cell in (one.names[q][rank], float(one.cosine[q, rank]))]
                rows.append((query, rank + 1, *cells))
        return Table(columns, tuple(rows), shown=True)


def class_means(image_ND: Tensor, labels_N: Tensor, classes: int) -> Tensor:
    """(C, D) the mean of each class's rows, of unit length; zeros where a class has none."""
    sums_CD = torch.zeros(classes, image_ND.shape[1], dtype=torch.float64)
    sums_CD.index_add_(0, labels_N, image_ND.double())
    return torch.nn.functional.normalize(sums_CD, dim=1).float()


def _metrics(found: Nearest, other: Nearest | None, *, queries: int, vocabulary: int) -> dict[str, float]:
    metrics = {
        "mean_cosine": float(found.cosine[:, 0].double().mean()),
        "queries": float(queries),
        "vocabulary": float(vocabulary),
    }
    if other is not None:
        metrics["against_mean_cosine"] = float(other.cosine[:, 0].double().mean())
        metrics[f"overlap@{found.cosine.shape[1]}"] = _overlap(found, other)
    return metrics


def _overlap(one: Nearest, other: Nearest) -> float:
    shares = [len(set(a) & set(b)) / len(a) for a, b in zip(one.names, other.names, strict=True)]
    return sum(shares) / len(shares)
