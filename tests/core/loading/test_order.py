"""Orders and random numbers: pure, uniform, without memory."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_core.loading.order import Purpose, fold, permute, pick, redraw, rng, shuffled, shuffled_each

BILLION = 1_000_000_000


@pytest.mark.parametrize("size", [*range(1, 66), 1023, 1024, 1025, 2048, 2049, 4095, 65_537])
def test_every_position_goes_to_a_place_of_its_own(size: int) -> None:
    places = permute(np.arange(size), size, 7, 1)
    assert sorted(places.tolist()) == list(range(size))


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 20_000), key=st.lists(st.integers(0, 2**63), min_size=1, max_size=3))
def test_any_size_and_key_give_a_permutation(size: int, key: list[int]) -> None:
    assert len(np.unique(permute(np.arange(size), size, *key))) == size


@pytest.mark.parametrize("size", [6, 1500])
def test_places_are_uniform_over_keys(size: int) -> None:
    """Chi-squared over six equal shares of the places, for the first, a middle and the last position."""
    keys = 3000
    for position in (0, size // 2, size - 1):
        places = np.array([permute(np.array([position]), size, key)[0] for key in range(keys)])
        counts = np.bincount(places * 6 // size, minlength=6)
        chi2 = ((counts - keys / 6) ** 2 / (keys / 6)).sum()
        assert chi2 < 25.7, counts  # 5 degrees of freedom: one in 10,000


@pytest.mark.parametrize("size", [1000, 30_000])
def test_neighbours_do_not_stay_together(size: int) -> None:
    places = permute(np.arange(size), size, 3)
    correlation = np.corrcoef(places[:-1], places[1:])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(size)
    assert np.mean(np.abs(np.diff(places)) == 1) < 20 / size


def test_a_billion_samples_need_no_memory() -> None:
    numbers = np.arange(BILLION - 50_000, BILLION + 50_000)
    shuffled(numbers[:10], BILLION, 0)
    tracemalloc.start()
    places = shuffled(numbers, BILLION, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * numbers.nbytes
    for epoch in (places[:50_000], places[50_000:]):
        assert len(np.unique(epoch)) == 50_000
    assert 0 <= places.min() < 50_000
    assert BILLION - 50_000 < places.max() < BILLION


def test_a_shuffle_takes_every_sample_once_an_epoch_in_another_order() -> None:
    epochs = shuffled(np.arange(3 * 1100), 1100, 5).reshape(3, 1100)
    assert all(sorted(epoch.tolist()) == list(range(1100)) for epoch in epochs)
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(epochs, 2))


@given(st.lists(st.integers(0, 10_000), max_size=40), st.integers(1, 2000))
def test_a_number_has_its_place_in_any_company(numbers: list[int], size: int) -> None:
    together = shuffled(np.array(numbers, dtype=np.int64), size, 9)
    alone = [shuffled(np.array([n]), size, 9)[0] for n in numbers]
    assert together.tolist() == alone


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(0, 2**63), st.integers(0, 10**6))
def test_parts_of_any_size_are_shuffled_side_by_side(sizes: list[int], key: int, epoch: int) -> None:
    parts = np.repeat(np.arange(len(sizes)), sizes)
    size_of = np.array(sizes)[parts]
    numbers = np.concatenate([np.arange(size) + size * epoch for size in sizes])
    places = shuffled_each(numbers, size_of, parts, key)
    for part, size in enumerate(sizes):
        assert sorted(places[parts == part].tolist()) == list(range(size))
    mixed = np.random.default_rng(0).permutation(len(parts))
    assert np.array_equal(shuffled_each(numbers[mixed], size_of[mixed], parts[mixed], key), places[mixed])


@pytest.mark.parametrize("size", [2, 3, 6, 64, 65, 100, 1500])
def test_places_in_parts_are_uniform_over_parts_and_epochs(size: int) -> None:
    """Chi-squared over the places of a number, or six equal shares of them; 1 in 10,000 at most."""
    times, cells = 60_000, min(6, size)
    bound = {1: 15.1, 2: 18.4, 5: 25.7}[cells - 1]
    many, same = np.arange(times), np.zeros(times, dtype=np.int64)
    for position in {0, size // 2, size - 1}:
        for epochs, parts in ((many, same), (same, many)):
            places = shuffled_each(position + size * epochs, np.full(times, size), parts, 5)
            counts = np.bincount(places * cells // size, minlength=cells)
            exact = np.diff(-(-np.arange(cells + 1) * size // cells)) * times / size
            assert ((counts - exact) ** 2 / exact).sum() < bound, counts


def test_small_parts_come_in_all_their_orders() -> None:
    numbers = (np.arange(3) + 3 * np.arange(6000)[:, None]).reshape(-1)
    orders = shuffled_each(numbers, np.full(18_000, 3), np.zeros(18_000, dtype=np.int64), 1).reshape(-1, 3)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert ((counts - 1000) ** 2 / 1000).sum() < 25.7


def test_orders_never_change_between_releases() -> None:
    """A resumed run must go on with the order it began with."""
    assert permute(np.arange(8), 8, 0).tolist() == [3, 4, 2, 1, 6, 5, 0, 7]
    assert permute(np.arange(5), 10_000, 0, 1).tolist() == [1340, 5770, 4505, 7560, 4334]
    assert [redraw(0, 5, attempt, 1000) for attempt in (1, 2, 3)] == [625, 550, 410]
    words = rng(1, 2, Purpose.VIEW, 3).bit_generator.random_raw(2)
    assert words.tolist() == [1810530979045159564, 4234627904094794459]


def test_every_part_of_the_key_gives_another_stream() -> None:
    keys = [
        (0, 0, Purpose.VIEW, 0),
        (1, 0, Purpose.VIEW, 0),
        (0, 1, Purpose.VIEW, 0),
        (0, 0, Purpose.TEXT, 0),
    ]
    keys += [(0, 0, Purpose.VIEW, 1), (2**40, 2**62, Purpose.TEXT, 2**20)]
    streams = np.concatenate([rng(*key).random(1000) for key in keys])
    assert len(np.unique(streams)) == len(streams)
    assert np.array_equal(rng(*keys[0]).random(1000), streams[:1000])


def test_a_pick_is_uniform() -> None:
    counts = np.bincount([pick(5, 1, number, Purpose.TEXT) for number in range(20_000)], minlength=5)
    assert ((counts - 4000) ** 2 / 4000).sum() < 23.5  # 4 degrees of freedom: one in 10,000


@given(st.lists(st.integers(-(2**63), 2**64), max_size=4), st.integers(1, 2**50))
def test_a_pick_stays_in_range_and_order_of_the_key_matters(key: list[int], size: int) -> None:
    assert 0 <= pick(size, *key) < size
    assert fold(*key, 1, 2) != fold(*key, 2, 1)
