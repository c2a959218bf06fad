"""The labelled part of an encoded dataset, ready to be classified.

Shapes: N samples, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from vlc_core.batch import UNLABELLED
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_eval.feature_cache import image_features
from vlc_plugin_eval.features import finite_rows
from vlc_plugin_eval.labels import check_labels

if TYPE_CHECKING:
    from vlc_core.inference import Inference

Features = Literal["summary", "embed"]


class Labelled(NamedTuple):
    """Samples with labels.

    Attributes:
        x: (N, W) float32 features.
        y: (N,) int64 labels.
        rows: (N,) int64, which samples of the dataset these are.
        classes: The class names that labels point into; numbers as text where the data has none.
        named: Whether the names are the data's own.
        unlabelled: How many samples were left out because they have no label.
        skipped: How many could not be read.
    """

    x: Tensor
    y: Tensor
    rows: Tensor
    classes: list[str]
    named: bool
    unlabelled: int
    skipped: int


def labelled(model: Inference, dataset: Dataset, features: Features, *, what: str) -> Labelled:
    """Encodes ``dataset`` and leaves out what has no label.

    Args:
        model: Encodes.
        dataset: Labelled images.
        features: ``summary``, what the encoder gives, or ``embed``, its projection to the shared space.
        what: The name of the evaluator and the option that gives the data, for messages.

    Raises:
        DataError: There are fewer than two classes among the labels, or a label has no name.
        Diverged: A feature is not finite.
    """
    images = image_features(model, dataset)
    has_label = images.labels != UNLABELLED
    labels_N = images.labels[has_label]
    name = type(dataset).__name__
    if labels_N.numel() == 0:
        raise DataError(
            f"{what} needs labelled samples, and of the {len(images.labels)} that were read in the dataset {name} "
            "none has a label: look at its label column or folders"
        )
    classes = dataset.classes or [str(number) for number in range(int(labels_N.max()) + 1)]
    check_labels(labels_N, classes)
    if len(labels_N.unique()) == 1:
        raise DataError(f"{what} needs at least two classes, and all of the dataset {name} is {classes[labels_N[0]]!r}")
    unread = {skipped.number for skipped in images.skipped}
    read = torch.tensor([row for row in range(len(dataset)) if row not in unread], dtype=torch.int64)
    x = images.summary if features == "summary" else images.embed
    return Labelled(
        x=finite_rows(x[has_label], what="image"),
        y=labels_N,
        rows=read[has_label],
        classes=list(classes),
        named=bool(dataset.classes),
        unlabelled=int((~has_label).sum()),
        skipped=len(images.skipped),
    )


def check_same_classes(train: Labelled, test: Labelled, *, what: str) -> None:
    """Checks that labels mean the same in what is learnt from and in what is measured.

    Raises:
        DataError: A label has two names.
    """
    if not (train.named and test.named) or train.classes == test.classes:
        return
    pairs = zip(train.classes, test.classes, strict=False)
    differing = next(((n, a, b) for n, (a, b) in enumerate(pairs) if a != b), None)
    if differing is None:
        raise DataError(
            f"{what}: `train` has {len(train.classes)} classes and `data` {len(test.classes)}: "
            "give both the same list of classes"
        )
    number, one, other = differing
    raise DataError(
        f"{what}: label {number} is {one!r} in `train` and {other!r} in `data`: give both the same list of classes"
    )


def absent(train_N: Tensor, test_M: Tensor, classes: Sequence[str]) -> list[str]:
    """The names of classes that are measured and were never learnt."""
    known = set(train_N.unique().tolist())
    return [classes[label] for label in test_M.unique().tolist() if label not in known]
