"""The images of one collection that are copies of another's, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlc_core.errors import RecipeError
from vlc_plugin_curate.near.compared import Thresholds, compare
from vlc_plugin_curate.near.embedder import Embedder
from vlc_plugin_curate.near.embeddings import MIN_COSINE
from vlc_plugin_curate.near.fingerprints import Fingerprints, fingerprints
from vlc_plugin_curate.near.hamming import MOST
from vlc_plugin_curate.near.looks import RADIUS
from vlc_plugin_curate.near.reading import ImageSource


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Pairs of rows that show the same picture, in the order of train, then reference. P pairs.

    Attributes:
        train: (P,) int64, the row in the training images, counted from 0.
        reference: (P,) int64, the row in the reference images.
        distance: (P,) uint8, in how many of 64 bits their perceptual hashes differ.
        cosine: (P,) float32 between their embeddings; None where no model was given.
        train_images: The fingerprints of the training images: how many there are, which are flat or unreadable.
        reference_images: Of the reference images.
    """

    train: NDArray[np.int64]
    reference: NDArray[np.int64]
    distance: NDArray[np.uint8]
    cosine: NDArray[np.float32] | None
    train_images: Fingerprints
    reference_images: Fingerprints

    def __len__(self) -> int:
        return len(self.train)

    @property
    def unreadable(self) -> int:
        """How many images of both could not be decoded; they are in no pair."""
        return len(self.train_images.unreadable) + len(self.reference_images.unreadable)


def near_duplicates(
    train: ImageSource,
    reference: ImageSource,
    *,
    radius: int = RADIUS,
    model: Path | None = None,
    min_cosine: float = MIN_COSINE,
    cache: Path | None = None,
    workers: int = 0,
    names: tuple[str, str] = ("training images", "reference images"),
) -> NearDuplicates:
    """Finds the images of ``train`` that are near-duplicates of images of ``reference``.

    Two images are near-duplicates where their perceptual hashes differ in at most ``radius`` of 64 bits and finer ones,
    that confirm it, in eight times as many of 256; or, with a model, where the cosine of their embeddings is at least
    ``min_cosine``. Pictures that are nearly of one colour, whose
    hashes say nothing, and images that cannot be read are in no pair; both are counted. The same input gives the same
    pairs, however many workers there are and however often it was stopped before.

    Args:
        train: A dataset, or an iterable of (key, encoded file or picture). With a model it must be possible to
            iterate it twice.
        reference: The same.
        radius: Bits of 64, 0 … 16.
        model: A run; None compares hashes alone.
        min_cosine: In -1 … 1.
        cache: A folder for hashes and embeddings: what is there of images that are still the same is not computed
            again. It may be removed at any time.
        workers: Processes that decode the images of datasets; 0 decodes in this one.
        names: Of the two, for progress bars and messages; in ``cache`` they tell sources apart.

    Raises:
        RecipeError: ``radius`` or ``min_cosine`` is out of range.
        StorageError: ``model`` is no run, or ``cache`` cannot be written.
    """
    check_thresholds(radius, min_cosine)
    left = fingerprints(train, name=names[0], cache=cache, workers=workers)
    right = fingerprints(reference, name=names[1], cache=cache, workers=workers)
    by = Thresholds(radius, None if model is None else Embedder(model, cache), min_cosine)
    found = compare((train, left, names[0]), (reference, right, names[1]), by)
    return NearDuplicates(found.left, found.right, found.distance, found.cosine, left, right)


def check_thresholds(radius: int, min_cosine: float) -> None:
    """Refuses what finds nothing, or everything.

    Raises:
        RecipeError: One is out of range.
    """
    if not 0 <= radius <= MOST:
        raise RecipeError(f"the radius {radius} is not in 0 … {MOST}: different pictures differ in about 32 of 64 bits")
    if not -1 <= min_cosine <= 1:
        raise RecipeError(f"the least cosine {min_cosine} is not in -1 … 1: 0.95 is a start")
