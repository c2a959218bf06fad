"""The few examples that a task is learnt from.

Shapes: N examples, S side in pixels, F numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.batch import Sample
from vlc_core.errors import DataError
from vlc_core.inference.image_set import seen, stack_pixels
from vlc_core.interfaces.dataset import Dataset
from vlc_core.progress import Tracker
from vlc_core.terminal import some
from vlc_plugin_eval.logistic import Ints
from vlc_plugin_eval.transfer.task import Task

FEWEST = 4
"""Examples, without which there is nothing to choose by."""


@final
class Held(Dataset):
    """Samples in memory."""

    def __init__(self, *, samples: Sequence[Sample], classes: list[str] | None, vector_width: int | None) -> None:
        self.samples, self.classes, self.vector_width = tuple(samples), classes, vector_width

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class Draw(NamedTuple):
    """Examples in random order: first those to train on, then those to validate on.

    Attributes:
        examples: N samples, all of which can be read.
        pixels: What the image encoder takes of them: (N, 3, S, S) uint8, or (N, F) float32.
        y: (N,) labels.
        training: How many of them are for training.
        skipped: How many others could not be read.
        missing: The names of classes of which there is no example.
    """

    examples: Held
    pixels: Tensor
    y: Ints
    training: int
    skipped: int
    missing: list[str]


def draw(task: Task, *, examples: int, validation: int, seed: int, number: int, size: int, width: int | None) -> Draw:
    """Takes examples uniformly at random, whatever their classes, as VTAB does (Zhai et al., arXiv 1910.04867).

    A task with fewer than ``examples`` gives all it has, divided in the same proportion.

    Args:
        task: To draw from.
        examples: N.
        validation: How many of them are for validation.
        seed: Of all draws.
        number: Of this one.
        size: S.
        width: F, where the encoder takes vectors.

    Raises:
        DataError: There are too few, or all for training are of one class.
    """
    samples: list[Sample] = []
    pixels: list[NDArray[Any]] = []
    y: list[int] = []
    skipped = 0
    wanted = min(examples, len(task.train))
    with Tracker(f"reading the examples of {task.name}") as tracker:
        for index in np.random.default_rng((seed, number)).permutation(len(task.train)).tolist():
            if len(y) == wanted:
                break
            try:
                sample = task.train[index]
                pixels.append(seen(sample.image, size, width))
            except (DataError, OSError):
                skipped += 1
                continue
            samples.append(sample)
            y.append(int(task.labels[index]))
            tracker(len(y), wanted)
    training = len(y) - round(len(y) * validation / examples)
    _check(task, y, training)
    held = Held(samples=samples, classes=task.classes, vector_width=task.train.vector_width)
    missing = [name for label, name in enumerate(task.classes) if label not in set(y)]
    tensor = torch.from_numpy(np.stack(pixels)) if width is not None else stack_pixels(pixels, size)
    return Draw(held, tensor, np.array(y, dtype=np.int64), training, skipped, missing)


def remarks(task: Task, drawn: Draw, *, examples: int, number: int) -> list[str]:
    """What is to be known of a draw that is not as it should be, in sentences."""
    found = []
    if len(drawn.y) < examples:
        found.append(
            f"{task.name} has {len(drawn.y)} examples to learn from, fewer than {examples}: all are used, "
            f"{drawn.training} to train and {len(drawn.y) - drawn.training} to validate"
        )
    if drawn.missing:
        found.append(
            f"{task.name}, draw {number}: no example of {len(drawn.missing)} of {len(task.classes)} classes "
            f"({some(drawn.missing, 5)}), which can never be told"
        )
    if drawn.skipped:
        found.append(f"{task.name}, draw {number}: {drawn.skipped} samples could not be read, others took their place")
    return found


def _check(task: Task, y: Sequence[int], training: int) -> None:
    if len(y) < FEWEST or training == len(y):
        raise DataError(f"{task.name} has {len(y)} examples that can be read: too few to train and to validate on")
    if len(set(y[:training])) < 2:
        raise DataError(f"{task.name}: all {training} examples drawn for training are of one class: draw more")
