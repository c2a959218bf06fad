"""Percentiles against numpy's, and bars that hold every value once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlc_plugin_data.inspecting.spread import bars, spread

WHOLE = st.lists(st.integers(0, 5_000), min_size=1, max_size=60)
BROKEN = st.lists(st.floats(0.01, 100, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=60)


@given(st.one_of(WHOLE, BROKEN))
def test_the_figures_are_those_of_numpy(values: list[float]) -> None:
    found = spread(Counter(values))
    assert found is not None
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="averaged_inverted_cdf")
    assert found == pytest.approx((len(values), min(values), low, median, np.mean(values), high, max(values)))
    assert found.median == pytest.approx(np.median(values))


@given(st.one_of(WHOLE, BROKEN))
def test_every_value_is_in_one_bar(values: list[float]) -> None:
    found = bars(Counter(values))
    assert sum(bar.values for bar in found) == len(values)
    assert len(found) <= 20
    assert found[0].low == min(values)
    assert found[-1].high >= max(values)
    for before, after in pairwise(found):
        assert before.high == after.low
    naive = [sum(bar.low - 1e-9 <= v < bar.high - 1e-9 for v in values) for bar in found[:-1]]
    assert [bar.values for bar in found[:-1]] == naive


def test_few_whole_numbers_get_a_bar_each() -> None:
    assert [(bar.low, bar.values) for bar in bars({3: 2, 5: 7})] == [(3, 2), (4, 0), (5, 7)]


def test_one_value_is_one_bar() -> None:
    assert [(bar.low, bar.values) for bar in bars({32: 9})] == [(32, 9)]


def test_the_last_bar_takes_a_long_tail() -> None:
    found = bars(dict.fromkeys(range(100), 100) | {10_000: 1})
    assert len(found) > 15
    assert found[-1].high == 10_000
    assert found[0].high - found[0].low == 5


def test_nothing_has_neither_figures_nor_bars() -> None:
    assert spread({}) is None
    assert bars({}) == ()
