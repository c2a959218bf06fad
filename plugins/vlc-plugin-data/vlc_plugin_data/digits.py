"""The handwritten digits that come with scikit-learn: real images that need no download."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from vlc_core import Dataset, Sample

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_HOLD_OUT_EVERY = 5


@final
class Digits(Dataset):
    """1,797 scans of 8×8 pixels, white on black, labelled ``zero`` … ``nine``.

    The split is fixed and stratified: of the scans of each digit, in the order of the file, every fifth is
    for ``test`` (355 in all) and the rest for ``train`` (1,442). The people who wrote them appear in both.
    """

    def __init__(self, *, split: Literal["train", "test", "all"] = "train") -> None:
        """Reads the file inside scikit-learn.

        Args:
            split: Which part of the scans.
        """
        digits = load_digits()
        self.classes = list(_NAMES)
        self._rows = np.flatnonzero(_chosen(digits.target, split))
        self._labels: NDArray[np.int64] = digits.target[self._rows].astype(np.int64)
        self._pixels = np.round(digits.images[self._rows] * (255 / 16)).astype(np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def texts(self, index: int) -> tuple[str, ...]:
        return ()

    def labels(self) -> NDArray[np.int64]:
        return self._labels

    def __getitem__(self, index: int) -> Sample:
        picture = Image.fromarray(self._pixels[index])
        return Sample(image=picture, label=int(self._labels[index]), key=f"digit-{self._rows[index]:04d}")


def _chosen(labels: np.ndarray, split: str) -> np.ndarray:
    """Which of ``labels`` (N,) belong to ``split``: (N,) bool."""
    held_out = np.zeros(len(labels), dtype=bool)
    for label in range(len(_NAMES)):
        held_out[np.flatnonzero(labels == label)[_HOLD_OUT_EVERY - 1 :: _HOLD_OUT_EVERY]] = True
    return np.ones_like(held_out) if split == "all" else held_out == (split == "test")
