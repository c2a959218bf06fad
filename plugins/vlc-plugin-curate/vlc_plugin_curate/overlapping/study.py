"""The overlap of training images with evaluation sets, and the accuracies of runs on either side of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlc_core.errors import RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_curate.near.compared import Thresholds, compare_each
from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.sources import Sources
from vlc_plugin_curate.overlapping.statistics import CONFIDENCE, Comparison, compare


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of an evaluation set with the training images. P pairs, N evaluation images.

    Attributes:
        name: Of the evaluation set.
        data: It.
        prints: (N,) its fingerprints.
        train: (P,) int64, rows of the training images.
        evaluated: (P,) int64, rows of the evaluation set that are near-duplicates of those.
        distance: (P,) uint8, bits in which their hashes differ.
        cosine: (P,) float32 of their embeddings; None without a model.
        comparisons: By run, what its accuracy is on either side.
    """

    name: str
    data: Dataset
    prints: Fingerprints
    train: NDArray[np.int64]
    evaluated: NDArray[np.int64]
    distance: NDArray[np.uint8]
    cosine: NDArray[np.float32] | None
    comparisons: dict[str, Comparison]

    @property
    def overlaps(self) -> NDArray[np.bool_]:
        """(N,) which images were trained on."""
        found = np.zeros(len(self.prints), bool)
        found[self.evaluated] = True
        return found

    def pairs(self) -> Iterator[int]:
        """One pair for each image that overlaps, the nearest of its pairs; the nearest of all first."""
        order = np.lexsort((self.train, self.evaluated, self.distance))
        _, first = np.unique(self.evaluated[order], return_index=True)
        yield from order[np.sort(first)].tolist()


def find_overlap(
    train: Sources, train_prints: Fingerprints, evaluated: Sources, prints: Fingerprints, by: Thresholds
) -> list[Overlap]:
    """The overlap of each of the evaluation sets with all of the training images."""
    each = compare_each(train, train_prints, evaluated, prints, by)
    return [Overlap(one.name, one.data, one.prints, *one.pairs[:4], {}) for one in each]


def compare_accuracies(overlaps: list[Overlap], run: Path, prompts: str, *, confidence: float = CONFIDENCE) -> None:
    """Adds the accuracies of a run by zero-shot classification to each of ``overlaps``.

    Raises:
        StorageError: ``run`` holds no model.
        RecipeError: The plugin with the evaluator is missing, or no prompts are called that.
        DataError: An evaluation set has no classes or no labels.
    """
    try:
        from vlc_plugin_eval.zero_shot import ZeroShot
    except ModuleNotFoundError as error:
        raise RecipeError("--run measures by zero-shot classification: pip install vlc-plugin-eval") from error
    from vlc_core.inference import Inference

    model = Inference.load(run)
    for overlap in overlaps:
        answers = ZeroShot(data=overlap.data, prompts=prompts).answers(model)
        right = (answers.predicted == answers.labels).numpy()
        overlap.comparisons[str(run)] = compare(right, overlap.overlaps[answers.rows.numpy()], confidence=confidence)
