"""How much a momentum twin's opinion counts, which is little at first: the twin has then learned nothing."""

from __future__ import annotations


def ramped(alpha: float, epoch: float, ramp: float) -> float:
    """``alpha`` after ``ramp`` epochs, a share of it that grows from zero before.

    Args:
        alpha: The weight in the end.
        epoch: How often the data has been seen.
        ramp: In epochs; 0 for the full weight at once.
    """
    return alpha if epoch >= ramp else alpha * epoch / ramp
