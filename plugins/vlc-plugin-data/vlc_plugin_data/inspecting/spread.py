"""Counted values to the few numbers and the bars that say how they are spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

BARS = 20
LONG_TAIL = 2.0
"""Where the greatest value is more than this multiple of the 99th percentile, the last bar takes the rest."""


class Spread(NamedTuple):
    """How values are spread.

    Attributes:
        values: How many there are.
        minimum: The least.
        low: The 5th percentile.
        median: Half of them lie on either side.
        mean: The average.
        high: The 95th percentile.
        maximum: The greatest.
    """

    values: int
    minimum: float
    low: float
    median: float
    mean: float
    high: float
    maximum: float


class Bar(NamedTuple):
    """How many ``values`` lie from ``low`` up to but not including ``high``; the last bar includes it."""

    low: float
    high: float
    values: int


def spread(values: Mapping[int, int] | Mapping[float, int]) -> Spread | None:
    """The spread of values that come with how often they occur; None of nothing.

    Percentiles are those of the averaged inverse distribution, so that the median is the usual one.
    """
    counted = sorted((float(value), count) for value, count in values.items() if count)
    total = sum(count for _, count in counted)
    if total == 0:
        return None
    mean = math.fsum(value * count for value, count in counted) / total
    low, median, high = (_percentile(counted, total, percent) for percent in (5, 50, 95))
    return Spread(total, counted[0][0], low, median, mean, high, counted[-1][0])


def bars(values: Mapping[int, int] | Mapping[float, int], *, most: int = BARS) -> tuple[Bar, ...]:
    """A histogram of at most ``most`` bars; whole numbers get bars of whole width."""
    counted = sorted((float(value), count) for value, count in values.items() if count)
    if not counted:
        return ()
    first, last = counted[0][0], counted[-1][0]
    total = sum(count for _, count in counted)
    usual = _percentile(counted, total, 99)
    end = usual if usual > first and last > LONG_TAIL * usual else last
    whole = all(value.is_integer() for value, _ in counted)
    width = _width(first, end, whole, most)
    number = max(1, min(most, math.floor((end - first) / width + 1e-9) + 1 if whole else most))
    heights = [0] * number
    for value, count in counted:
        heights[min(number - 1, int((value - first) / width + 1e-9))] += count
    edges = [first + i * width for i in range(number + 1)]
    edges[-1] = max(edges[-1], last)
    return tuple(Bar(edges[i], edges[i + 1], height) for i, height in enumerate(heights))


def _width(first: float, end: float, whole: bool, most: int) -> float:
    if whole:
        return float(max(1, math.ceil((end - first + 1) / most)))
    return (end - first) / most or 1.0


def _percentile(counted: list[tuple[float, int]], total: int, percent: int) -> float:
    """``percent`` of ``total`` sorted values lie below."""
    rank, rest = divmod(total * percent, 100)
    if rest:
        return _at(counted, rank)
    return (_at(counted, max(rank - 1, 0)) + _at(counted, min(rank, total - 1))) / 2


def _at(counted: list[tuple[float, int]], place: int) -> float:
    """The value at ``place`` of the sorted values, the first at 0."""
    for value, count in counted:
        place -= count
        if place < 0:
            return value
    return counted[-1][0]
