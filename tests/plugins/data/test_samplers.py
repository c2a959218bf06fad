"""What holds for every sampler, and what each is for."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vlc_core import Dataset, RecipeError, Sample, Sampler, Source, options
from vlc_core.options.use import Use
from vlc_core.plugins import plugins

NAMES = ("shuffle", "balanced", "weighted", "proportional", "class-balanced", "shard-shuffle")
ONCE = ("shuffle", "proportional", "shard-shuffle")
BILLION = 10**9


@final
class Sized(Dataset):
    """A number of samples that nobody reads: in shards of 7, and in classes if told so."""

    def __init__(self, count: int, *, labels: Sequence[int] | None = None, shards: Sequence[int] | None = None) -> None:
        self.count, self._labels = count, labels
        self.shards = [min(7, count - start) for start in range(0, count, 7)] if shards is None else shards
        self.classes = None if labels is None else [f"class {i}" for i in range(max(labels) + 1)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError

    def labels(self) -> NDArray[np.integer] | None:
        return None if self._labels is None else np.array(self._labels)


def make(name: str, *datasets: Dataset, seed: int = 0, shares: Sequence[float | None] = (), **given: Any) -> Sampler:
    """A sampler by name; sources are called 0, 1, … and name shares where the sampler wants some."""
    if not shares:
        shares = [i + 1 for i in range(len(datasets))] if name == "weighted" else [None] * len(datasets)
    sources = [Source(str(i), data, share) for i, (data, share) in enumerate(zip(datasets, shares, strict=True))]
    made: Sampler = options.build(
        plugins().registry, "sampler", Use.model_validate({"use": name} | given), sources, seed
    )
    return made


def labelled(size: int) -> Sized:
    """Three classes of very different size and samples without a label."""
    return Sized(size, labels=[(0, 0, 0, 0, 1, 1, 2, -1)[i % 8] if i else 2 for i in range(size)])


def pairs(drawn: tuple[NDArray[np.int64], NDArray[np.int64]]) -> list[tuple[int, int]]:
    return list(zip(drawn[0].tolist(), drawn[1].tolist(), strict=True))


sizes_of = st.lists(st.integers(1, 120), min_size=1, max_size=4)
seeds = st.integers(0, 2**62)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(sizes=sizes_of, seed=seeds, first=st.integers(0, 10**9), data=st.data())
def test_a_number_has_its_sample_in_any_company(name: str, sizes: list[int], seed: int, first: int, data: Any) -> None:
    """Pure functions of (seed, number): the same for any cut into ranks, workers and batches, by any instance."""
    sampler, other = (make(name, *map(labelled, sizes), seed=seed) for _ in range(2))
    numbers = np.arange(first, first + 60)
    whole = pairs(sampler.draw(numbers))
    cut = data.draw(st.integers(0, 60))
    shuffled = data.draw(st.permutations(range(60)))
    assert pairs(other.draw(numbers[cut:])) == whole[cut:]
    assert pairs(other.draw(numbers[:cut])) == whole[:cut]
    assert pairs(other.draw(numbers[shuffled])) == [whole[i] for i in shuffled]
    assert all(0 <= index < sizes[source] for source, index in whole)


@pytest.mark.parametrize("name", ONCE)
@settings(max_examples=40, deadline=None)
@given(sizes=sizes_of, seed=seeds, epoch=st.integers(0, 3))
def test_every_sample_comes_once_an_epoch(name: str, sizes: list[int], seed: int, epoch: int) -> None:
    sampler = make(name, *map(Sized, sizes), seed=seed)
    assert sampler.epoch == sum(sizes)
    drawn = pairs(sampler.draw(np.arange(sampler.epoch) + epoch * sampler.epoch))
    assert sorted(drawn) == [(source, index) for source, size in enumerate(sizes) for index in range(size)]


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(ONCE)))
@settings(max_examples=40, deadline=None)
@given(sizes=sizes_of, seed=seeds)
def test_every_sample_comes_in_an_epoch_and_no_source_begins_again_before_it_is_through(
    name: str, sizes: list[int], seed: int
) -> None:
    sampler = make(name, *map(labelled if name == "class-balanced" else Sized, sizes), seed=seed)
    drawn = pairs(sampler.draw(np.arange(sampler.epoch)))
    times = Counter(drawn)
    assert len(times) == sum(sizes)
    assert len(set(pairs(sampler.draw(np.arange(sampler.epoch - 1))))) < sum(sizes) or name == "class-balanced"
    if name != "class-balanced":
        for source in range(len(sizes)):
            seen = {times[source, index] for index in range(sizes[source])}
            assert max(seen) - min(seen) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_epochs_and_seeds_have_orders_of_their_own(name: str) -> None:
    sampler, other = (make(name, labelled(200), labelled(3000), seed=seed) for seed in (0, 1))
    first, second = (sampler.draw(np.arange(1000) + sampler.epoch * epoch)[1] for epoch in (0, 1))
    assert np.mean(first == second) < 0.1
    assert np.mean(first == other.draw(np.arange(1000))[1]) < 0.1


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"class-balanced"}))
def test_a_billion_samples_need_no_memory(name: str) -> None:
    shards = [10_000] * 60_000
    big, bigger = Sized(6 * 10**8, shards=shards), Sized(BILLION, shards=[10**6] * 1000)
    sampler = make(name, big, bigger)
    numbers = np.arange(sampler.epoch - 1000, sampler.epoch + 1000)
    sampler.draw(numbers[:2])
    tracemalloc.start()
    sources, indices = sampler.draw(numbers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    assert indices[sources == 0].max() < 6 * 10**8
    assert 6 * 10**8 < indices.max() < BILLION
    assert len(set(pairs((sources[:1000], indices[:1000])))) == 1000


@pytest.mark.parametrize("name", NAMES)
def test_shares_are_what_is_drawn_in_the_long_run(name: str) -> None:
    sampler = make(name, labelled(100), labelled(300), labelled(50))
    sources, _ = sampler.draw(np.arange(6 * 450))
    assert np.bincount(sources) / len(sources) == pytest.approx(sampler.shares, abs=0.001)
    assert sampler.shares.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "shares", "expected"),
    [
        ("balanced", (), [32, 32, 32]),
        ("weighted", (0.5, 0.25, 0.25), [48, 24, 24]),
        ("weighted", (1, 2, 3), [16, 32, 48]),
        ("weighted", (None, 0.5, None), [12, 48, 36]),
        ("proportional", (), [8, 64, 24]),
        ("shard-shuffle", (), [8, 64, 24]),
        ("shard-shuffle", (0.5, 0.25, 0.25), [48, 24, 24]),
        ("class-balanced", (), [32, 32, 32]),
        ("class-balanced", (0.5, None, None), [48, 24, 24]),
    ],
)
def test_every_batch_has_exactly_its_shares(name: str, shares: tuple[float | None, ...], expected: list[int]) -> None:
    sampler = make(name, labelled(50), labelled(400), labelled(150), shares=shares)
    for step in range(30):
        sources, _ = sampler.draw(np.arange(96) + 96 * step)
        assert np.bincount(sources, minlength=3).tolist() == expected


def test_an_epoch_of_shares_lasts_until_the_last_source_is_through() -> None:
    assert make("balanced", Sized(100), Sized(30)).epoch == 200 - 1  # the last number of 200 is the other source's
    assert make("weighted", Sized(100), Sized(30), shares=(0.9, 0.1)).epoch == pytest.approx(300, abs=10)
    assert make("class-balanced", Sized(10, labels=[0] * 8 + [1] * 2)).epoch == 16


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=80), seeds)
def test_every_class_comes_once_in_each_round(labels: list[int], seed: int) -> None:
    """Samples of a class come once before any comes twice; those without a label are a class."""
    data = Sized(len(labels), labels=[*labels, 7][: len(labels)])
    data.classes = [str(i) for i in range(8)]
    sampler = make("class-balanced", data, seed=seed)
    present = sorted(set(labels))
    _, indices = sampler.draw(np.arange(3 * sampler.epoch))
    rounds = np.array(labels)[indices].reshape(-1, len(present))
    assert all(sorted(one.tolist()) == present for one in rounds)
    for label, count in Counter(labels).items():
        line = [i for i in indices.tolist() if labels[i] == label]
        assert all(len(set(line[start : start + count])) == count for start in range(0, len(line) - count + 1, count))


def test_shards_come_in_blocks_of_neighbours_from_many_places() -> None:
    shards = [40] * 32
    sampler = make("shard-shuffle", Sized(1280, shards=shards), lanes=16, block=8)
    _, indices = sampler.draw(np.arange(1280))
    blocks = indices.reshape(-1, 8)
    together = np.diff(blocks, axis=1) == 1
    assert together.all(axis=1).mean() > 0.75  # the others cross from a shard to the next
    assert together.mean() > 0.95
    batch = indices[:128] // 40
    assert len(set(batch.tolist())) >= 16
    lane = indices.reshape(-1, 16, 8)[:, 0].reshape(-1) // 40
    assert (np.diff(lane) != 0).sum() <= 3  # one lane reads its shards one after the other


@pytest.mark.parametrize(("world", "steps_a_round"), [(2, 1), (4, 1), (2, 4), (8, 2)])
def test_a_rank_takes_whole_lanes_where_they_divide(world: int, steps_a_round: int) -> None:
    """No shard is read by two ranks, but for those that two lanes share."""
    lanes, block, whole = 16, 4, 16 * 4 // steps_a_round
    sampler = make("shard-shuffle", Sized(64 * 100, shards=[100] * 64), lanes=lanes, block=block)
    steps = 6400 // whole
    per_rank = whole // world
    shards = []
    for rank in range(world):
        firsts = (np.arange(steps) * world + rank) * per_rank
        numbers = (firsts[:, None] + np.arange(per_rank)).reshape(-1)
        shards.append(set((sampler.draw(numbers)[1] // 100).tolist()))
    read_by = Counter(shard for one in shards for shard in one)
    assert len(read_by) == 64
    assert sum(times > 1 for times in read_by.values()) <= lanes


def test_shards_of_any_size_and_more_lanes_than_samples() -> None:
    for shards in ([1], [0, 5, 0], [100, 1, 1, 30]):
        sampler = make("shard-shuffle", Sized(sum(shards), shards=shards), lanes=1000, block=16)
        _, indices = sampler.draw(np.arange(sampler.epoch))
        assert sorted(indices.tolist()) == list(range(sum(shards)))


def test_a_single_shard_is_begun_elsewhere_each_epoch() -> None:
    sampler = make("shard-shuffle", Sized(1000, shards=[1000]), lanes=4)
    starts = {int(sampler.draw(np.array([1000 * epoch]))[1][0]) for epoch in range(8)}
    assert len(starts) > 4


def test_sources_without_shards_are_shuffled_beside_those_with() -> None:
    plain = Sized(500)
    plain.shards = None
    sampler = make("shard-shuffle", plain, Sized(500, shards=[50] * 10))
    sources, indices = sampler.draw(np.arange(1000))
    runs = [np.mean(np.diff(indices[sources == source]) == 1) for source in (0, 1)]
    assert runs[0] < 0.02
    assert runs[1] > 0.85


@pytest.mark.parametrize(
    ("name", "datasets", "shares", "message"),
    [
        ("weighted", [Sized(5), Sized(5)], (None, None), "no source names its share"),
        ("weighted", [Sized(5), Sized(5)], (1.5, None), "leaves nothing for the others"),
        ("class-balanced", [labelled(5), Sized(5)], (), "the source '1' has no labels: name its part"),
        ("shard-shuffle", [Sized(5, shards=[3])], (), "hold 3 samples, and it says that it has 5"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, datasets: list[Dataset], shares: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make(name, *datasets, shares=shares)


def test_what_samplers_cannot_know_is_refused() -> None:
    plain, secretive = Sized(5), labelled(5)
    plain.shards, secretive._labels = None, None
    with pytest.raises(RecipeError, match="no source is read from shards: use the sampler shuffle"):
        make("shard-shuffle", plain)
    with pytest.raises(RecipeError, match="'0' cannot tell its labels without reading every sample"):
        make("class-balanced", secretive)


def test_orders_never_change_between_releases() -> None:
    """A resumed run must go on with the order it began with."""
    drawn = {name: pairs(make(name, labelled(30), labelled(90)).draw(np.arange(4) + 77)) for name in NAMES}
    assert drawn == {
        "shuffle": [(1, 80), (1, 61), (0, 20), (0, 19)],
        "balanced": [(1, 5), (0, 14), (1, 36), (0, 25)],
        "weighted": [(1, 38), (1, 58), (0, 7), (1, 17)],
        "proportional": [(0, 5), (1, 4), (1, 15), (1, 81)],
        "class-balanced": [(1, 47), (0, 5), (1, 14), (0, 15)],
        "shard-shuffle": [(0, 22), (1, 84), (1, 85), (1, 86)],
    }
