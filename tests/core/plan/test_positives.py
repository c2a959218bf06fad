"""How many labelled samples meet another of their class in a batch."""

from __future__ import annotations

from typing import final

import numpy as np
import pytest
from numpy.typing import NDArray

from vlc_core import Dataset, Sample, Sampler, Source
from vlc_core.assemble import Data
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.sources import TrainingSource
from vlc_core.plan.positives import BATCHES, share_alone


@final
class Labelled(Dataset):
    """Labels that are known ahead, or none."""

    def __init__(self, labels: list[int] | None, count: int) -> None:
        self._labels, self.count = labels, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError("no sample is read")

    def labels(self) -> NDArray[np.integer] | None:
        return None if self._labels is None else np.array(self._labels)


@final
class InTurn(Sampler):
    """The sources in turn, each from its first sample on, again and again."""

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        sources = numbers % len(self.sizes)
        return sources, numbers // len(self.sizes) % self.sizes[sources]


def data(*labels: list[int] | None, maps: tuple[tuple[int, ...], ...] | None = None) -> Data:
    sets = [Labelled(one, 4 if one is None else len(one)) for one in labels]
    sampler = InTurn([Source(str(i), one) for i, one in enumerate(sets)], seed=0)
    maps = maps or ((),) * len(sets)
    sources = tuple(TrainingSource(str(i), one, label_map=maps[i]) for i, one in enumerate(sets))
    return Data(sources, (), sampler, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("labels", "expected"), [([0, 0, 1, 2], 0.5), ([0, 1, 2, 3], 1.0), ([5, 5, 6, 6], 0.0)])
def test_a_sample_is_alone_without_another_of_its_class_in_its_batch(labels: list[int], expected: float) -> None:
    assert share_alone(data(labels), 4) == expected


def test_samples_without_a_label_are_no_company_and_not_counted() -> None:
    assert share_alone(data([0, -1, -1, 0]), 4) == 0.0
    assert share_alone(data([0, -1, -1, 1]), 4) == 1.0
    assert share_alone(data([-1, -1]), 2) is None
    assert share_alone(data(None), 2) is None


def test_sources_meet_in_the_label_space_that_they_share() -> None:
    assert share_alone(data([0], [0]), 2) == 0.0
    assert share_alone(data([0], [0], maps=((0,), (7,))), 2) == 1.0
    assert share_alone(data([0, 1], None, maps=((3, 4), ())), 4) == 1.0


def test_batches_after_the_first_are_looked_at_too() -> None:
    labels = [0, 0, *range(1, 2 * BATCHES - 1)]
    assert share_alone(data(labels), 2) == pytest.approx(1 - 1 / BATCHES)
