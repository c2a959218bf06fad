"""The shuffle sampler: each sample of each source once an epoch, for any ranks and batch."""

from __future__ import annotations

from typing import final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_core import Dataset, Sample, Source
from vlc_plugin_data.samplers.shuffle import Shuffle


@final
class Sized(Dataset):
    """A number of samples that nobody reads."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError


def shuffle(*sizes: int, seed: int = 0, block: int = 1) -> Shuffle:
    return Shuffle([Source(str(i), Sized(size)) for i, size in enumerate(sizes)], seed, block=block)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(0, 2**40), st.integers(0, 3), st.integers(1, 9)
)
def test_an_epoch_has_every_sample_of_every_source_once(sizes: list[int], seed: int, epoch: int, block: int) -> None:
    sampler = shuffle(*sizes, seed=seed, block=block)
    assert sampler.epoch == sum(sizes)
    sources, indices = sampler.draw(np.arange(sampler.epoch) + epoch * sampler.epoch)
    assert sorted(zip(sources.tolist(), indices.tolist(), strict=True)) == [
        (source, index) for source, size in enumerate(sizes) for index in range(size)
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 100), st.integers(1, 4), st.integers(1, 9))
def test_ranks_and_batches_do_not_matter(samples: int, world: int, batch: int) -> None:
    sampler = shuffle(samples, 2 * samples)
    steps = -(-sampler.epoch // (world * batch))
    drawn: list[tuple[int, int]] = []
    for step in range(steps):
        for rank in range(world):
            first = (step * world + rank) * batch
            drawn.extend(zip(*(a.tolist() for a in sampler.draw(np.arange(first, first + batch))), strict=True))
    whole = zip(*(a.tolist() for a in sampler.draw(np.arange(len(drawn)))), strict=True)
    assert drawn == list(whole)
    assert len(set(drawn[: sampler.epoch])) == sampler.epoch


def test_epochs_and_seeds_differ_and_sources_mix() -> None:
    sampler = shuffle(500, 500)
    first, second = (sampler.draw(np.arange(1000) + 1000 * epoch) for epoch in (0, 1))
    other = shuffle(500, 500, seed=1).draw(np.arange(1000))
    assert not np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])
    assert 200 < first[0][:500].sum() < 300


def test_a_billion_samples() -> None:
    sampler = shuffle(600_000_000, 400_000_000)
    sources, indices = sampler.draw(np.arange(10**9 - 1000, 10**9 + 1000))
    assert indices[sources == 1].max() < 400_000_000
    assert 500_000_000 < indices.max() < 600_000_000
    assert 1000 < (sources == 0).sum() < 1400


def test_neighbours_of_a_block_come_together_and_blocks_in_a_new_order() -> None:
    sampler = shuffle(400, 601, block=2)
    orders = []
    for epoch in range(2):
        sources, indices = sampler.draw(np.arange(1001) + epoch * 1001)
        places = indices + 400 * sources
        assert places[-1] == 1000  # what no block holds
        first_B, second_B = places[:-1].reshape(-1, 2).T
        assert (first_B % 2 == 0).all()
        assert (second_B == first_B + 1).all()
        orders.append(first_B)
    assert not (orders[0] == orders[1]).all()
    assert (np.diff(orders[0]) == 2).mean() < 0.02


def test_a_block_beyond_the_source_is_the_source() -> None:
    _, indices = shuffle(3, block=64).draw(np.arange(6))
    assert indices.tolist() == [0, 1, 2, 0, 1, 2]
