"""Zero-shot classification: class names become texts, and the nearest text names the image.

Shapes: N samples, C classes, T templates, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import torch
from torch import Tensor

from vlc_core.batch import UNLABELLED
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.loading.class_names import require_names
from vlc_core.loading.sources import CLASS_NAME
from vlc_core.options import Component
from vlc_core.terminal import some
from vlc_plugin_eval.classification import Scores, confusions, recall_per_class, score
from vlc_plugin_eval.feature_cache import image_features, rows_read
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.labelled import no_label
from vlc_plugin_eval.labels import check_labels
from vlc_plugin_eval.templates import fill, templates_of
from vlc_plugin_eval.vocabulary import fold
from vlc_plugin_eval.warned import warn_once

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet, Inference

TEXTS = 8192
"""Texts encoded in one call, so that 1,000 classes in 80 templates are never held at once."""
CONFUSED = 20
ALIKE = 5
"""Decimals in which embeddings of different names agree only if their tokens do."""


class Answers(NamedTuple):
    """What is said of each labelled image, N of them.

    Attributes:
        rows: (N,) int64, which sample of the data, ascending.
        labels: (N,) int64, the true class.
        predicted: (N,) int64, the class whose prompts it is nearest to.
    """

    rows: Tensor
    labels: Tensor
    predicted: Tensor


@final
class ZeroShot(Evaluator):
    """Names images by the class whose prompts they are nearest to; nothing is trained for it.

    Each class name goes through every template; the texts' unit embeddings are averaged and brought to unit
    length again. An image gets the class of the highest cosine; of equal ones the first. Samples without a
    label are left out and counted in the details.

    Metrics: ``top1``; ``top5`` where there are at least five classes; ``mean_per_class``, the share of right
    answers in each class averaged over the classes that occur; ``samples`` and ``classes``. Shares are in
    0…1.

    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021,
    section 3.1.

    Args:
        data: Labelled images, with class names.
        prompts: The name of a set of templates, one template, or a list of them, each with ``{}`` for the
            class name.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        prompts: Annotated[str | list[str], Component("prompts")] = "clip80",
    ) -> None:
        self.data = data
        self.templates = templates_of(prompts)

    def evaluate(self, model: Inference) -> Evaluation:
        classes, images = self._classes(), image_features(model, self.data)
        scores, labels_N = self._scored(model, images, classes)
        return Evaluation(
            metrics=_metrics(scores, labels_N, len(classes)),
            tables=_tables(scores, labels_N, classes),
            details={
                "prompts": list(self.templates),
                "unlabelled": int((images.labels == UNLABELLED).sum()),
                "skipped": len(images.skipped),
                "equal_class_names": sorted(name for name, times in Counter(classes).items() if times > 1),
            },
        )

    def answers(self, model: Inference) -> Answers:
        """What is said of each image that has a label and can be read.

        Raises:
            DataError: The data has no class names, or no label.
        """
        images = image_features(model, self.data)
        scores, labels_N = self._scored(model, images, self._classes())
        return Answers(rows_read(self.data, images)[images.labels != UNLABELLED], labels_N, scores.predicted)

    def _scored(self, model: Inference, images: ImageSet, classes: Sequence[str]) -> tuple[Scores, Tensor]:
        """The scores of the labelled images, and their labels."""
        labelled = images.labels != UNLABELLED
        labels_N = images.labels[labelled].to(torch.int64)
        if labels_N.numel() == 0:
            raise DataError(no_label(self.data, images, what="zero-shot"))
        check_labels(labels_N, classes)
        image_ND = unit_rows(images.embed[labelled], what="image")
        return score(image_ND, class_embeddings(model, classes, self.templates), labels_N), labels_N

    def _classes(self) -> list[str]:
        if not self.data.classes:
            raise DataError(
                f"zero-shot needs class names, the dataset {type(self.data).__name__} has none: give "
                "class folders or a manifest with a label column, or measure with `retrieval`"
            )
        if self.templates != CLASS_NAME:
            require_names(self.data, source=f"zero-shot: the dataset {type(self.data).__name__}")
        if len(self.data.classes) == 1:
            raise DataError(
                f"zero-shot needs at least two classes, and the data has {self.data.classes[0]!r} alone: "
                "every answer would be right"
            )
        return self.data.classes


def class_embeddings(model: Inference, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """One embedding a class: the mean over its prompts' unit embeddings, of unit length again.

    A warning names different classes that the model has the same embedding for.

    Returns:
        (C, D) float32 on the CPU.
    """
    step = max(1, TEXTS // len(templates))
    means = []
    for start in range(0, len(classes), step):
        names = classes[start : start + step]
        text_TD = unit_rows(model.encode_texts([t for n in names for t in fill(templates, n)]), what="text")
        means.append(text_TD.unflatten(0, (len(names), len(templates))).mean(dim=1))
    class_CD = unit_rows(torch.cat(means), what="class")
    alike = _alike(class_CD, classes)
    if alike:
        warn_once(
            f"the texts of {len(alike)} of {len(classes)} classes are the same to the model as those of others: "
            f"{some(alike)}; its tokenizer makes one of all that it does not know, as linear-text of any text that was "
            "not trained: take prompts and classes of training"
        )
    return class_CD


def _alike(class_CD: Tensor, classes: Sequence[str]) -> list[str]:
    """The classes whose embedding is that of another one of another name."""
    first: dict[str, int] = {}
    for row, name in enumerate(classes):
        first.setdefault(fold(name), row)
    rows = list(first.values())
    _, group, size = class_CD[rows].round(decimals=ALIKE).unique(dim=0, return_inverse=True, return_counts=True)
    return [classes[row] for row, times in zip(rows, size[group].tolist(), strict=True) if times > 1]


def _metrics(scores: Scores, labels_N: Tensor, classes: int) -> dict[str, float]:
    _, recall_C = recall_per_class(scores, labels_N, classes)
    metrics = {"top1": float((scores.rank < 1).double().mean())}
    if classes >= 5:
        metrics["top5"] = float((scores.rank < 5).double().mean())
    metrics["mean_per_class"] = float(recall_C.nanmean())
    return metrics | {"samples": float(labels_N.shape[0]), "classes": float(classes)}


def _tables(scores: Scores, labels_N: Tensor, classes: Sequence[str]) -> dict[str, Table]:
    total_C, recall_C = recall_per_class(scores, labels_N, len(classes))
    present = [c for c in range(len(classes)) if total_C[c] > 0]
    per_class = tuple((classes[c], int(total_C[c]), float(recall_C[c])) for c in present)
    confused = confusions(scores, labels_N, len(classes), most=CONFUSED)
    return {
        "per_class": Table(("class", "samples", "accuracy"), per_class),
        "confused": Table(
            ("class", "taken for", "samples", "share of class"),
            tuple((classes[c], classes[p], n, n / int(total_C[c])) for c, p, n in confused),
        ),
    }
