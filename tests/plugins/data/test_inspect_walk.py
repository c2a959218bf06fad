"""Which samples are looked at, and that workers change nothing but the time."""

from __future__ import annotations

import os
import signal

import pytest

from vlc_core import DataError, Dataset, RecipeError, Sample
from vlc_plugin_data.inspecting.walk import choose, walk


class Numbers(Dataset):
    """Samples that are called after their index."""

    def __len__(self) -> int:
        return 1_000

    def __getitem__(self, index: int) -> Sample:
        return Sample(image=b"", key=str(index))


def key_of(dataset: Dataset, index: int) -> str:
    return dataset[index].key


def die_at_500(dataset: Dataset, index: int) -> str:
    if index == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    return dataset[index].key


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_is_that_of_the_indices(workers: int) -> None:
    indices = list(range(0, 1_000, 3))
    assert list(walk(Numbers(), indices, key_of, workers=workers)) == [str(i) for i in indices]


def test_a_worker_that_is_killed_ends_the_walk() -> None:
    with pytest.raises(DataError, match="a worker process died"):
        list(walk(Numbers(), range(1_000), die_at_500, workers=2))


def test_a_walk_may_be_left_early() -> None:
    seen = walk(Numbers(), range(1_000), key_of, workers=2)
    assert [next(seen) for _ in range(3)] == ["0", "1", "2"]
    seen.close()  # type: ignore[attr-defined]


def test_all_the_first_or_some_by_seed() -> None:
    assert choose(5) == range(5)
    assert choose(5, limit=3) == range(3)
    assert choose(5, limit=9) == range(5)
    drawn = choose(1_000, sample=20, seed=1)
    assert list(drawn) == sorted(set(drawn))
    assert len(drawn) == 20
    assert drawn == choose(1_000, sample=20, seed=1) != choose(1_000, sample=20, seed=2)
    assert choose(5, sample=9) == range(5)


def test_a_sample_of_a_billion_is_drawn_at_once() -> None:
    assert len(choose(10**9, sample=10)) == 10


def test_both_at_once_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"--limit .* --sample"):
        choose(5, limit=1, sample=1)
