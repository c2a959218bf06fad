"""A task: the examples that may be learnt from, and those that are measured on.

Shapes: N samples.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from vlc_core.batch import UNLABELLED, Sample
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.progress import track
from vlc_core.registry import Registry
from vlc_plugin_eval.logistic import Ints, held_out
from vlc_plugin_eval.transfer.asked import Asked, Score


@final
class Part(Dataset):
    """The ``rows`` of a dataset, in that order."""

    def __init__(self, *, dataset: Dataset, rows: Ints) -> None:
        self.dataset, self.rows = dataset, rows
        self.classes, self.vector_width = dataset.classes, dataset.vector_width

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[int(self.rows[index])]


class Task(NamedTuple):
    """An opened task.

    Attributes:
        name: What it is called.
        classes: The names that labels point into; numbers as text where the data has none.
        named: Whether the names are the data's own.
        train: Labelled samples to draw from.
        labels: (N,) of those.
        test: Labelled samples to measure on.
        score: What settings are chosen by.
        held_out: Whether ``test`` was held out of the source for training.
    """

    name: str
    classes: list[str]
    named: bool
    train: Part
    labels: Ints
    test: Part
    score: Score
    held_out: bool


def open_task(task: Asked, registry: Registry, *, score: Score, holdout: float) -> Task:
    """Opens the sources of a task.

    Args:
        task: What is asked for.
        registry: Where datasets are found.
        score: Of tasks that name none themselves.
        holdout: The share of each class that is held out for testing where there is no source for that.

    Raises:
        RecipeError: A source refuses its options.
        DataError: A source has no labels, or the classes of the two differ.
    """
    source = task.train.open(registry)
    labels = labels_of(source, f"{task.name} (train)")
    classes, named = list(source.classes or ()), bool(source.classes)
    if task.test is None:
        rows = np.flatnonzero(labels != UNLABELLED)
        tested = held_out(labels[rows], holdout, seed=0)
        train, test = Part(dataset=source, rows=rows[~tested]), Part(dataset=source, rows=rows[tested])
        highest = int(labels.max())
    else:
        other = task.test.open(registry)
        other_labels = labels_of(other, f"{task.name} (test)")
        check_names(source.classes, other.classes, task.name)
        train = Part(dataset=source, rows=np.flatnonzero(labels != UNLABELLED))
        test = Part(dataset=other, rows=np.flatnonzero(other_labels != UNLABELLED))
        highest = int(max(labels.max(), other_labels.max()))
    classes = classes if named else [str(number) for number in range(highest + 1)]
    if highest >= len(classes):
        raise DataError(f"{task.name} has {len(classes)} class names and a label {highest}: look at its label column")
    if len(np.unique(labels[train.rows])) < 2 or len(test) == 0:
        raise DataError(f"{task.name} needs two classes to learn and something to be tested on: look at its labels")
    return Task(
        task.name, classes, named, train, labels[train.rows], test, task.score or score, held_out=task.test is None
    )


def labels_of(dataset: Dataset, what: str) -> NDArray[np.int64]:
    """The label of every sample (N,), -1 where there is none or the sample cannot be read.

    Raises:
        DataError: None has a label.
    """
    known = dataset.labels()
    if known is None:
        rows = track(range(len(dataset)), f"reading the labels of {what}", len(dataset))
        known = np.array([_label(dataset, row) for row in rows])
    if not (known != UNLABELLED).any():
        raise DataError(f"{what}: none of its {len(dataset)} samples has a label: look at its label column or folders")
    return known.astype(np.int64)


def check_names(train: list[str] | None, test: list[str] | None, task: str) -> None:
    """Checks that labels mean the same in both sources.

    Raises:
        DataError: They do not; the message gives the first difference.
    """
    if not train or not test or train == test:
        return
    only = [(name, "train", "test") for name in train if name not in test]
    only += [(name, "test", "train") for name in test if name not in train]
    if only:
        name, here, there = only[0]
        more = f", and {len(only) - 1} more differ" if len(only) > 1 else ""
        raise DataError(f"{task}: {here} has the class {name!r} and {there} has not{more}: give both the same classes")
    number = next(n for n, (a, b) in enumerate(zip(train, test, strict=False)) if a != b)
    raise DataError(
        f"{task}: label {number} is {train[number]!r} in train and {test[number]!r} in test: "
        "give both the same list of classes"
    )


def _label(dataset: Dataset, row: int) -> int:
    try:
        return dataset[row].label
    except (DataError, OSError):
        return UNLABELLED
