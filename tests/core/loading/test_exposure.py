"""What a run sees of each source."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pytest
from numpy.typing import NDArray

from vlc_core import Sampler, Source
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.exposure import Exposure, exposures

Kit = Any  # of conftest.py


@final
class Thirds(Sampler):
    """Two of three numbers go to the second source."""

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        return np.minimum(numbers % 3, 1), numbers % 3

    @property
    def shares(self) -> NDArray[np.float64]:
        return np.array([1 / 3, 2 / 3])


def test_epochs_of_a_source_follow_from_its_share(kit: Kit) -> None:
    sources = [Source("small", kit.pictures(10)), Source("large", kit.pictures(200))]
    small, large = exposures(Thirds(sources, 0), 600)
    assert small == Exposure("small", 10, pytest.approx(1 / 3), pytest.approx(20.0))
    assert large == Exposure("large", 200, pytest.approx(2 / 3), pytest.approx(2.0))


def test_a_sampler_that_says_nothing_draws_in_proportion_to_sizes(kit: Kit) -> None:
    sampler = kit.maker(kit.pictures(10), kit.pictures(30)).sampler
    assert [seen.epochs for seen in exposures(sampler, 80)] == [2, 2]
    assert sampler.shares.tolist() == [0.25, 0.75]
