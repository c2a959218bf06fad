"""What an overlap between training and evaluation images did to an accuracy.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

CONFIDENCE = 0.995
"""Of the paper's intervals."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Some samples of an evaluation set.

    Attributes:
        samples: How many.
        right: How many of them are answered right.
    """

    samples: int
    right: int

    @property
    def accuracy(self) -> float | None:
        """The share that is answered right; None of no samples."""
        return self.right / self.samples if self.samples else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The accuracy on all samples, on those that overlap with the training images, and on the others.

    Attributes:
        all: All samples.
        overlap: Those of which a near-duplicate was trained on.
        clean: The others.
        confidence: Of the intervals, in 0…1.
    """

    all: Subset
    overlap: Subset
    clean: Subset
    confidence: float = CONFIDENCE

    @property
    def contamination(self) -> float:
        """The share of samples that overlap."""
        return self.overlap.samples / self.all.samples

    @property
    def difference(self) -> float | None:
        """All − Clean: by how much the overlap raised the accuracy; None where no sample is clean."""
        if self.all.accuracy is None or self.clean.accuracy is None:
            return None
        return self.all.accuracy - self.clean.accuracy

    @property
    def overlap_interval(self) -> tuple[float, float] | None:
        """Clopper and Pearson's interval of the accuracy on the overlap; None without overlap."""
        if self.overlap.samples == 0:
            return None
        return clopper_pearson(self.overlap.right, self.overlap.samples, self.confidence)

    @property
    def difference_interval(self) -> tuple[float, float] | None:
        """That interval as one of All − Clean, the accuracy on clean samples taken as it is.

        All − Clean = contamination · (Overlap − Clean), so it is the interval of Overlap, moved and scaled. None where
        a side is empty.
        """
        if self.overlap_interval is None or self.clean.accuracy is None:
            return None
        low, high = self.overlap_interval
        clean = self.clean.accuracy
        return self.contamination * (low - clean), self.contamination * (high - clean)

    @property
    def p_value(self) -> float | None:
        """How likely the overlap is answered as well as it is, or better, if it were like the clean samples.

        One-sided; None where a side is empty.
        """
        if self.clean.accuracy is None or self.overlap.samples == 0:
            return None
        return at_least(self.overlap.right, self.overlap.samples, self.clean.accuracy)


def compare(right: NDArray[np.bool_], overlaps: NDArray[np.bool_], *, confidence: float = CONFIDENCE) -> Comparison:
    """Compares the samples (N,), N > 0.

    Args:
        right: Which are answered right.
        overlaps: Which overlap with the training images.
        confidence: Of the intervals.
    """
    subsets = (_subset(right), _subset(right[overlaps]), _subset(right[~overlaps]))
    return Comparison(*subsets, confidence)


def clopper_pearson(right: int, samples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share of which ``right`` of ``samples`` > 0 were seen.

    Its ends are the shares under which so many or more, and so many or fewer, have the probability
    (1 − confidence) / 2: quantiles of beta distributions. Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, samples - right + 1))
    high = 1.0 if right == samples else float(beta.ppf(1 - tail, right + 1, samples - right))
    return low, high


def at_least(right: int, samples: int, chance: float) -> float:
    """The probability of ``right`` or more of ``samples`` when each is right with the probability ``chance``."""
    return float(binom.sf(right - 1, samples, chance))


def _subset(right: NDArray[np.bool_]) -> Subset:
    return Subset(len(right), int(right.sum()))
