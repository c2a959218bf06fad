"""Sample numbers a second that each sampler turns into samples, and what that costs a batch.

Run: ``python benchmarks/samplers.py [NUMBERS]``. NUMBERS (a million by default) are drawn at once and in batches of
256, on one thread, from two sources of 10⁸ and 9 · 10⁸ samples in shards of 10,000; by class-balanced, which
sorts labels, from two of 10⁶ with 1,000 classes. The peer is a ``numpy.random.permutation`` of as many numbers, made
whole and read in batches: what a map-style loader does, in memory that grows with the data.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from vlc_core import Dataset, Sample, Sampler, Source, options
from vlc_core.options.use import Use
from vlc_core.plugins import plugins

BATCH, CLASSES, SHARD = 256, 1000, 10_000
NAMES = ("shuffle", "balanced", "weighted", "proportional", "class-balanced", "shard-shuffle")


@final
class Sized(Dataset):
    """So many samples, in shards, with classes where they are few."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.shards = [SHARD] * (count // SHARD)
        self.classes = [str(i) for i in range(CLASSES)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError

    def labels(self) -> NDArray[np.integer]:
        return np.random.default_rng(0).integers(0, CLASSES, self.count)


def sampler(name: str) -> Sampler:
    """The sampler over its two sources."""
    sizes = (10**6, 10**6) if name == "class-balanced" else (10**8, 9 * 10**8)
    share = 1.0 if name == "weighted" else None
    sources = [Source(str(size), Sized(size), share) for size in sizes]
    made: Sampler = options.build(plugins().registry, "sampler", Use.model_validate({"use": name}), sources, 0)
    return made


def rate(draw: Callable[[NDArray[np.int64]], Any], numbers: NDArray[np.int64], batch: int) -> float:
    """Numbers a second of processor time, the best of three turns."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        for first in range(0, len(numbers), batch):
            draw(numbers[first : first + batch])
        best = max(best, len(numbers) / (time.process_time() - start))
    return best


def peak(draw: Callable[[NDArray[np.int64]], Any], numbers: NDArray[np.int64]) -> float:
    """MB that drawing one batch takes for itself."""
    draw(numbers[:BATCH])
    tracemalloc.start()
    draw(numbers[BATCH : 2 * BATCH])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def main() -> None:
    """Prints a line for each sampler, and the peer's."""
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    numbers = np.arange(count, dtype=np.int64)
    start = time.process_time()
    permutation = np.random.default_rng(0).permutation(count)
    made = time.process_time() - start
    whole = count / (made + count / rate(lambda n: permutation[n], numbers, BATCH))
    print(f"{'numpy permutation':18} {'':>10} {whole / 1e6:8.2f} M/s in batches, 8 bytes a sample held")
    for name in NAMES:
        drawn = sampler(name)
        at_once, batches = rate(drawn.draw, numbers, count), rate(drawn.draw, numbers[: count // 10], BATCH)
        print(
            f"{name:18} {at_once / 1e6:6.2f} M/s at once, {batches / 1e6:8.3f} M/s in batches "
            f"({BATCH / batches * 1e3:.2f} ms each), {peak(drawn.draw, numbers):.2f} MB a batch"
        )


if __name__ == "__main__":
    main()
