"""Sample numbers dealt out to sources by fixed shares, evenly and in closed form.

Numbers go down a binary tree over the sources. At a node whose left side has the share a/w, round(n·a/w) of the first n
numbers go left: never more than half a number from the exact share, for any n, found without walking there. So any
stretch of numbers has its shares: exactly where they come out whole, else within a number or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from vlc_core.interfaces.sampler import Int64Array

_TOTAL = 1 << 48  # weights that come to more than 16 times this are rounded: a share is then right to 14 digits


def divide(numbers: Int64Array, weights: Sequence[int]) -> tuple[Int64Array, Int64Array]:
    """The source of each number, and how many smaller numbers went to the same source.

    Args:
        numbers: (N,) sample numbers ≥ 0.
        weights: Of K sources, each > 0, together at most 2⁵².

    Returns:
        (N,) sources in 0…K-1 and (N,) positions ≥ 0 within them.
    """
    sources, positions = np.zeros_like(numbers), numbers.copy()
    pending = [(np.arange(len(numbers)), 0, len(weights))]
    while pending:
        rows, first, last = pending.pop()
        if last - first == 1:
            sources[rows] = first
            continue
        middle = (first + last) // 2
        left, total = sum(weights[first:middle]), sum(weights[first:last])
        here = positions[rows]
        before = _rounded_part(here, left, total)
        goes_left = _rounded_part(here + 1, left, total) > before
        positions[rows] = np.where(goes_left, before, here - before)
        pending += [(rows[goes_left], first, middle), (rows[~goes_left], middle, last)]
    return sources, positions


def counts(numbers: int, weights: Sequence[int]) -> list[int]:
    """How many of the first ``numbers`` numbers each source is given."""
    if len(weights) == 1:
        return [numbers]
    middle = len(weights) // 2
    total = sum(weights)
    left = (numbers * sum(weights[:middle]) + total // 2) // total
    return counts(left, weights[:middle]) + counts(numbers - left, weights[middle:])


def whole_weights(parts: Sequence[Fraction]) -> tuple[int, ...]:
    """Small whole numbers in the ratio of ``parts`` > 0; rounded where no small ones are."""
    scale = lcm(*(part.denominator for part in parts))
    weights = [int(part * scale) for part in parts]
    shared = gcd(*weights)
    if sum(weights) // shared <= 16 * _TOTAL:
        return tuple(weight // shared for weight in weights)
    return tuple(max(1, weight * _TOTAL // sum(weights)) for weight in weights)


def complete(shares: Sequence[float | None], sizes: Sequence[int]) -> tuple[int, ...]:
    """Weights of all sources, where ``shares`` says what parts of a batch some of them ask for.

    Args:
        shares: Of each source; None where it asks for none. If all ask, only the ratio counts.
        sizes: In the ratio of these the others divide what is left of 1.

    Raises:
        ValueError: Nothing is left for the others.
    """
    asked = {i: Fraction(str(share)) for i, share in enumerate(shares) if share is not None}  # 0.1 is a tenth
    rest = 1 - sum(asked.values(), Fraction(0))
    others = sum(size for i, size in enumerate(sizes) if i not in asked)
    if others and rest <= 0:
        raise ValueError(
            f"the shares of the sources that name one come to {float(1 - rest):g}, which leaves nothing for the "
            f"others: let them come to less than 1, or give every source a share"
        )
    return whole_weights(
        [asked.get(i, rest * size / others if others else Fraction(0)) for i, size in enumerate(sizes)]
    )


def each(keys: Int64Array) -> Iterator[tuple[int, Int64Array]]:
    """Every value among ``keys`` (N,), and the rows where it stands."""
    rows = np.argsort(keys, kind="stable")
    values, times = np.unique(keys, return_counts=True)
    for value, end, many in zip(values.tolist(), np.cumsum(times), times, strict=True):
        yield value, rows[end - many : end]


def _rounded_part(numbers: Int64Array, part: int, total: int) -> Int64Array:
    """(n·part + total // 2) // total, for products far beyond 64 bits.

    Floating point finds the quotient to within a few; what it is off by fits into 64 bits, so arithmetic that wraps
    around gives it exactly.
    """
    cycles, rest = np.divmod(numbers, total)
    guess = (rest * (part / total)).astype(np.int64)
    return cycles * part + guess + (rest * part - guess * total + total // 2) // total
