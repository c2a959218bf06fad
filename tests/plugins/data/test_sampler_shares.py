"""Numbers dealt out by shares: evenly everywhere, exactly where shares come out whole, and without walking there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_plugin_data.samplers.shares import complete, counts, divide, each, whole_weights

weights_of = st.lists(st.integers(1, 50), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(weights_of, st.integers(0, 10**15), st.integers(1, 400))
def test_sources_count_their_own_numbers(weights: list[int], first: int, many: int) -> None:
    sources, positions = divide(np.arange(first, first + many), weights)
    before, after = counts(first, weights), counts(first + many, weights)
    assert (sum(before), sum(after)) == (first, first + many)
    for source in range(len(weights)):
        assert positions[sources == source].tolist() == list(range(before[source], after[source]))


@settings(max_examples=100, deadline=None)
@given(weights_of, st.integers(0, 10**12), st.integers(1, 9))
def test_a_batch_has_exactly_its_shares_where_they_are_whole(weights: list[int], first: int, times: int) -> None:
    batch = times * sum(weights)
    sources, _ = divide(np.arange(first, first + batch), weights)
    assert np.bincount(sources, minlength=len(weights)).tolist() == [times * weight for weight in weights]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=4), st.integers(0, 10**9), st.integers(1, 300))
def test_any_other_batch_is_near_its_shares(weights: list[int], first: int, batch: int) -> None:
    sources, _ = divide(np.arange(first, first + batch), weights)
    drawn = np.bincount(sources, minlength=len(weights))
    off = [abs(int(n) - Fraction(batch * w, sum(weights))) for n, w in zip(drawn, weights, strict=True)]
    assert max(off) <= 1 if len(weights) == 2 else max(off) < 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=4), st.integers(1, 64))
def test_remainders_even_out_over_batches(weights: list[int], batch: int) -> None:
    for numbers in range(0, 40 * batch, batch):
        exact = [Fraction(numbers * w, sum(weights)) for w in weights]
        assert all(abs(n - e) < 1 for n, e in zip(counts(numbers, weights), exact, strict=True))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 2**50), min_size=2, max_size=4), st.integers(0, 2**61))
def test_products_beyond_64_bits_stay_exact(weights: list[int], first: int) -> None:
    """``counts`` has Python's whole numbers, ``divide`` has numpy's."""
    sources, positions = divide(np.arange(first, first + 50), weights)
    running = [counts(first + i, weights) for i in range(51)]
    for i in range(50):
        source = int(sources[i])
        assert positions[i] == running[i][source]
        assert running[i + 1][source] == running[i][source] + 1


def test_equal_sources_take_turns() -> None:
    assert divide(np.arange(8), [1, 1, 1, 1])[0].tolist() == [0, 2, 1, 3, 0, 2, 1, 3]


def test_parts_become_small_whole_numbers() -> None:
    assert whole_weights([Fraction(1, 3), Fraction(2, 3)]) == (1, 2)
    assert whole_weights([Fraction(600_000), Fraction(400_000)]) == (3, 2)
    odd = whole_weights([Fraction(1, 3**30), Fraction(1, 7**20), Fraction(5, 11)])
    assert sum(odd) < 2**52
    assert odd[2] / sum(odd) == pytest.approx(1 - 11 / 5 * (3**-30 + 7**-20), abs=1e-13)
    assert min(odd) >= 1


def test_sources_without_a_share_divide_the_rest_by_size() -> None:
    assert complete([0.5, None, None], [9, 10, 30]) == (4, 1, 3)
    assert complete([0.1, 0.2, None], [1, 1, 7]) == (1, 2, 7)
    assert complete([None, None], [20, 10]) == (2, 1)
    assert complete([3, 1], [5, 5]) == (3, 1)
    assert complete([0.333, 0.333, 0.333], [5, 6, 7]) == (1, 1, 1)


@pytest.mark.parametrize("shares", [[1.0, None], [0.6, 0.6, None], [3, 1, None]])
def test_shares_that_leave_nothing_are_refused(shares: list[float | None]) -> None:
    with pytest.raises(ValueError, match=r"come to .*, which leaves nothing for the others"):
        complete(shares, [10] * len(shares))


@given(st.lists(st.integers(-3, 5), max_size=30))
def test_each_value_comes_with_its_rows(keys: list[int]) -> None:
    found = {value: rows.tolist() for value, rows in each(np.array(keys, dtype=np.int64))}
    assert found == {value: [i for i, key in enumerate(keys) if key == value] for value in set(keys)}
