"""The same batches for any number of workers and ranks; workers that fail are reported, not waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import repeat
from typing import Any, final

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.batch import Batch
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.loader import Loader
from vlc_core.loading.order import shuffled

Kit = Any  # of conftest.py
FIELDS = ("pixels", "tokens", "mask", "labels", "groups", "numbers")


def assert_same(a: Batch, b: Batch) -> None:
    for name in FIELDS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert (a.keys, a.skipped, a.truncated) == (b.keys, b.skipped, b.truncated)


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_change_nothing(workers: int, kit: Kit) -> None:
    make = kit.maker(kit.pictures(bad_every=4), kit.pictures(7, kind="labels"), views=2, seed=5)
    alone = list(Loader(make=make, batch_size=6, steps=12))
    helped = list(Loader(make=make, batch_size=6, steps=12, workers=workers))
    assert len(alone) == len(helped) == 12
    for a, b in zip(alone, helped, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_batch_of_one(world: int, kit: Kit) -> None:
    make = kit.maker(kit.pictures(bad_every=4))
    whole = list(Loader(make=make, batch_size=8, steps=5))
    ranks = [Loader(make=make, batch_size=8 // world, steps=5, rank=r, world=world) for r in range(world)]
    for one, parts in zip(whole, zip(*ranks, strict=True), strict=True):
        for name in ("labels", "groups", "numbers"):
            assert torch.equal(getattr(one, name), torch.cat([getattr(part, name) for part in parts]))
        assert torch.equal(one.pixels, torch.cat([part.pixels for part in parts], dim=1))
        assert one.keys == sum((part.keys for part in parts), ())
        assert one.skipped == sum((part.skipped for part in parts), ())
        rows = [row[mask].tolist() for part in parts for row, mask in zip(part.tokens, part.mask, strict=True)]
        assert rows == [row[mask].tolist() for row, mask in zip(one.tokens, one.mask, strict=True)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_loader_goes_on_where_the_run_stopped(workers: int, kit: Kit) -> None:
    make = kit.maker(kit.pictures())
    whole = list(Loader(make=make, batch_size=4, steps=9))
    rest = Loader(make=make, batch_size=4, steps=9, start_step=6, workers=workers)
    assert len(rest) == 3
    for a, b in zip(whole[6:], rest, strict=True):
        assert_same(a, b)


def test_a_finished_run_has_no_batches(kit: Kit) -> None:
    for workers in (0, 2):
        assert list(Loader(make=kit.maker(kit.pictures()), batch_size=4, steps=3, start_step=3, workers=workers)) == []


def test_a_loader_can_be_walked_twice_and_left_early(kit: Kit) -> None:
    loader = Loader(make=kit.maker(kit.pictures()), batch_size=4, steps=50, workers=2)
    for _ in range(2):
        walk = iter(loader)
        assert next(walk).numbers.tolist() == [0, 1, 2, 3]
        walk.close()
    time.sleep(0.2)
    assert _children() == 0


def _children() -> int:
    import multiprocessing

    return len(multiprocessing.active_children())


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5), st.integers(0, 3))
def test_every_sample_is_read_once_an_epoch(samples: int, batch: int, world: int, seed: int) -> None:
    """Over two epochs, for any number of ranks and any batch: steps count alike, and numbers never repeat."""
    steps = -(-2 * samples // (batch * world))
    seen: list[Int64Array] = []

    def record(numbers: Int64Array) -> Any:
        seen.append(numbers)
        return Batch(*repeat(torch.zeros(1), 6))  # type: ignore[arg-type]

    for rank in range(world):
        loader = Loader(make=record, batch_size=batch, steps=steps, rank=rank, world=world)  # type: ignore[arg-type]
        assert sum(1 for _ in loader) == steps
    numbers = np.sort(np.concatenate(seen))
    assert numbers.tolist() == list(range(steps * batch * world))
    epochs = shuffled(numbers, samples, seed)[: 2 * samples].reshape(2, samples)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(samples))


@final
class Deadly(Dataset):
    """Its sample 30 kills the process that reads it, if that is a worker; its other samples are fine."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Sample:
        if index == 30 and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return Sample(Image.new("RGB", (4, 4)), ("1",), key=str(index))


def test_the_death_of_a_worker_is_an_error_within_seconds(kit: Kit) -> None:
    loader = Loader(make=kit.maker(Deadly(os.getpid())), batch_size=4, steps=100, workers=2)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"worker process died.*shared memory.*data\.workers, which is 2"):
        list(loader)
    assert time.monotonic() - start < 12


def test_a_death_never_interrupts_the_step_under_way(kit: Kit) -> None:
    """It comes out of the loader, where it can be named, and not of whatever the run is doing just then."""
    walk = iter(Loader(make=kit.maker(Deadly(os.getpid())), batch_size=16, steps=100, workers=1))
    next(walk)
    time.sleep(1)  # the worker dies in here, while making a batch ahead
    with pytest.raises(DataError, match="worker process died"):
        list(walk)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_sentence_of_a_data_error_survives_the_way_out_of_a_worker(workers: int, kit: Kit) -> None:
    loader = Loader(make=kit.maker(kit.pictures(bad_every=1)), batch_size=4, steps=3, workers=workers)
    with pytest.raises(DataError) as caught:
        list(loader)
    assert str(caught.value).startswith("16 samples drawn in a row from the source a cannot be used")
    assert "Traceback" not in str(caught.value)


@final
class Buggy(Dataset):
    """A dataset with a mistake in its code."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        raise RuntimeError("mistake in a plugin")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_in_a_dataset_is_not_taken_for_bad_data(workers: int, kit: Kit) -> None:
    with pytest.raises(RuntimeError, match="mistake in a plugin"):
        list(Loader(make=kit.maker(Buggy()), batch_size=4, steps=3, workers=workers))


def test_workers_run_on_one_thread_each(kit: Kit) -> None:
    @final
    class Threads(Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Sample:
            return Sample(Image.new("RGB", (4, 4)), ("1",), key=str(torch.get_num_threads()))

    batch = next(iter(Loader(make=kit.maker(Threads()), batch_size=4, steps=1, workers=1)))
    assert set(batch.keys) == {"1"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_batches_reach_the_gpu_unchanged(kit: Kit) -> None:
    make = kit.maker(kit.pictures(bad_every=4), views=2)
    plain = Loader(make=make, batch_size=4, steps=5, workers=2)
    pinned = Loader(make=make, batch_size=4, steps=5, workers=2, pin=True)
    for a, b in zip(plain, pinned, strict=True):
        assert b.pixels.is_pinned()
        assert b.tokens.is_pinned()
        assert_same(a, b.to(torch.device("cuda"), non_blocking=True).to(torch.device("cpu")))


def test_reading_ahead_leaves_nothing_behind_when_the_process_ends() -> None:
    """A run that fails in the middle must not hang on its workers at exit."""
    program = """
import numpy as np, torch
from vlc_core.batch import Batch
from vlc_core.loading.loader import Loader
def make(numbers):
    return Batch(*[torch.zeros(1, 64, 3, 64, 64, dtype=torch.uint8)] * 6)
walk = iter(Loader(make=make, batch_size=4, steps=1000, workers=2))
next(walk)
raise SystemExit(5)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (5, b"")
