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
from vlc_core.terminal import some
from vlc_plugin_eval.feature_cache import image_features, rows_read
from vlc_plugin_eval.features import finite_rows
from vlc_plugin_eval.labels import check_labels
from vlc_plugin_eval.warned import warn_once

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet, Inference

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
    if labels_N.numel() == 0:
        raise DataError(no_label(dataset, images, what=what))
    classes = dataset.classes or [str(number) for number in range(int(labels_N.max()) + 1)]
    check_labels(labels_N, classes)
    if len(labels_N.unique()) == 1:
        raise DataError(
            f"{what} needs at least two classes, and all of the dataset "
            f"{type(dataset).__name__} is {classes[labels_N[0]]!r}"
        )
    x = images.summary if features == "summary" else images.embed
    return Labelled(
        x=finite_rows(x[has_label], what="image"),
        y=labels_N,
        rows=rows_read(dataset, images)[has_label],
        classes=list(classes),
        named=bool(dataset.classes),
        unlabelled=int((~has_label).sum()),
        skipped=len(images.skipped),
    )


def no_label(dataset: Dataset, images: ImageSet, *, what: str) -> str:
    """What is said of data without a label."""
    return (
        f"{what} needs labelled samples, and of the {len(images.labels)} that were read in the dataset "
        f"{type(dataset).__name__} none has a label: look at its label column or folders"
    )


def in_classes_of(train: Labelled, test: Labelled, *, what: str) -> Labelled:
    """What is learnt from, with the labels of what is measured: equal names are one class.

    Args:
        train: May lack classes that ``test`` lists.
        test: What is measured.
        what: The name of the evaluator, for messages.

    Raises:
        DataError: A label has two names.
    """
    if not (train.named and test.named) or train.classes == test.classes:
        return train
    number = {name: label for label, name in enumerate(test.classes)}
    each_once = len(number) == len(test.classes) and len(set(train.classes)) == len(train.classes)
    if each_once and number.keys() > set(train.classes):
        label_C = torch.tensor([number[name] for name in train.classes], dtype=torch.int64)
        return train._replace(y=label_C[train.y], classes=test.classes)
    raise DataError(_difference(train.classes, test.classes, what=what))


def _difference(train: Sequence[str], test: Sequence[str], *, what: str) -> str:
    for number, (one, other) in enumerate(zip(train, test, strict=False)):
        if one != other:
            return (
                f"{what}: label {number} is {one!r} in `train` and {other!r} in `data`: "
                "give both the same list of classes"
            )
    return f"{what}: `train` has {len(train)} classes and `data` {len(test)}: give both the same list of classes"


def left_out(train: Labelled, test: Labelled, *, what: str) -> dict[str, object]:
    """The classes that are measured and were never learnt, and what of the data could not be used, for the details."""
    return {
        "absent_from_train": _absent(train, test, what=what),
        "unlabelled": {"train": train.unlabelled, "data": test.unlabelled},
        "skipped": {"train": train.skipped, "data": test.skipped},
    }


def _absent(train: Labelled, test: Labelled, *, what: str) -> list[str]:
    """A warning names them, too."""
    known = set(train.y.unique().tolist())
    measured = test.y.unique().tolist()
    names = [test.classes[label] for label in measured if label not in known]
    if names:
        warn_once(
            f"{what}: {len(names)} of the {len(measured)} classes of `data` have no sample in `train`: {some(names)}; "
            "what is of them counts as wrong"
        )
    return names
