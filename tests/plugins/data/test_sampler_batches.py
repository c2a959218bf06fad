"""Batches are the same to the byte for any workers and ranks, with every sampler."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any, final

import numpy as np
import pytest
import tokenizers
import torch
from numpy.typing import NDArray
from PIL import Image

from vlc_core import Dataset, Sample, Source, Tokenizer, Vocabulary, options
from vlc_core.batch import Batch
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import TrainingSource
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_plugin_data.transforms.clip import RandomCrop

SAMPLERS = ("shuffle", "balanced", "weighted", "proportional", "class-balanced", "shard-shuffle")


@final
class Tiles(Dataset):
    """Plain tiles in shards of seven, every tenth of them broken, with labels and captions."""

    def __init__(self, count: int, *, weight: int = 0, keeps: bool = False) -> None:
        self.count, self.weight, self.keeps = count, weight, keeps
        self.kept: list[bytes] = []
        self.classes = ["light", "dark", "grey"]
        self.shards = [min(7, count - start) for start in range(0, count, 7)]

    def __len__(self) -> int:
        return self.count

    def labels(self) -> NDArray[np.integer]:
        return np.arange(self.count) % 4 % 3

    def __getitem__(self, index: int) -> Sample:
        image: Any = b"x" * self.weight
        if self.keeps:
            self.kept.append(image)
        if index % 10:
            image = Image.new("RGB", (9, 7), (index % 256, index * 7 % 256, 0))
        return Sample(image, ("a tile", "the tile")[: 1 + index % 2], int(self.labels()[index]), f"tile-{index}")


def maker(sampler: str, *datasets: Dataset) -> BatchMaker:
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "a": 1, "the": 2, "tile": 3}, unk_token="?"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    named = [(str(i), data) for i, data in enumerate(datasets)]
    given = [Source(name, data, 1.0 if sampler == "weighted" else None) for name, data in named]
    return BatchMaker(
        sources=[TrainingSource(name, data) for name, data in named],
        sampler=options.build(plugins().registry, "sampler", Use.model_validate({"use": sampler}), given, 3),
        transform=RandomCrop(),
        tokenizer=Tokenizer(backend, Vocabulary(size=4, pad=0, unknown=0)),
        context=4,
        size=8,
        views=2,
        seed=3,
    )


def read(make: BatchMaker, *, world: int, workers: int) -> list[list[Batch]]:
    """The batches of each rank."""
    return [
        list(Loader(make=make, batch_size=12 // world, steps=4, rank=rank, world=world, workers=workers))
        for rank in range(world)
    ]


def whole(ranks: list[list[Batch]]) -> list[dict[str, Any]]:
    """Everything that a step reads, ranks joined; tokens as texts are, without their padding."""
    steps = []
    for parts in zip(*ranks, strict=True):
        tokens = [row[mask].tolist() for part in parts for row, mask in zip(part.tokens, part.mask, strict=True)]
        step: dict[str, Any] = {"pixels": torch.cat([part.pixels for part in parts], dim=1).numpy().tobytes()}
        for name in ("labels", "groups", "numbers"):
            step[name] = torch.cat([getattr(part, name) for part in parts]).tolist()
        for name in ("keys", "skipped"):
            step[name] = sum((getattr(part, name) for part in parts), ())
        steps.append(step | {"tokens": tokens})
    return steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_workers_and_ranks_change_no_byte(sampler: str) -> None:
    make = maker(sampler, Tiles(30), Tiles(200))
    alone = whole(read(make, world=1, workers=0))
    assert len(alone) == 4
    assert sum(len(step["skipped"]) for step in alone) > 0
    assert whole(read(make, world=2, workers=1)) == alone
    assert whole(read(make, world=1, workers=4)) == alone


def resident() -> int:
    """Bytes that the only worker process holds in memory for itself."""
    (worker,) = [child for child in multiprocessing.active_children() if child.pid != os.getpid()]
    with open(f"/proc/{worker.pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_Dirty:"))


def growth(make: BatchMaker) -> int:
    """By how many bytes a worker grows over six epochs, after two others."""
    batches = iter(Loader(make=make, batch_size=16, steps=10_000, workers=1))
    sizes = []
    for many in (50, 150):
        for _ in range(many):
            next(batches)
        sizes.append(resident())
    batches.close()
    return sizes[1] - sizes[0]


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="memory is read from Linux's /proc")
def test_memory_of_a_worker_stays_flat_over_epochs() -> None:
    """2,400 samples of 20 kB pass through the worker: 48 MB, had they been kept."""
    for sampler in ("shard-shuffle", "class-balanced"):
        assert growth(maker(sampler, Tiles(400, weight=20_000))) < 6 * 2**20
    assert growth(maker("shuffle", Tiles(400, weight=20_000, keeps=True))) > 40 * 2**20
