"""From tars to batches on one core, texts tokenised and images normalised, against open_clip's own data pipeline.

Run: ``python benchmarks/data_pipeline.py PHOTOGRAPHS`` with the peers of ``data.py``. Eight shards of photographs with
captions are written once; both sides shuffle, decode, cut crops of 224 pixels, tokenise with CLIP's vocabulary and hand
out batches, in this process and on one thread, and take turns. Processor time is counted.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from data import GAIN, OFFSET, SHAPES, SIZE, photographs
from open_clip_data import batches
from open_clip_shim import folder

from vlc_core import Source, Tokenizer, Vocabulary
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import TrainingSource
from vlc_plugin_data.samplers.shuffle import Shuffle
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.webdataset import WebDataset
from vlc_plugin_encoders.tokenizers.clip import from_released

BATCH, CONTEXT, SHARDS, IN_SHARD = 64, 77, 8, 128
TARGET = 2.5
WORDS = Vocabulary(size=49_408, pad=0, start=49_406, end=49_407)
CAPTIONS = (
    "A brown dog runs along the beach with a stick in its mouth.",
    "Two women in red jackets wait for the bus on a rainy street.",
    "An old bicycle leans against a wall covered with ivy",
    "Children play football in a park while their parents watch from a bench.",
    "a plate of pasta with tomatoes, basil and a glass of white wine",
    "The harbour at dusk, seen from the hill above the lighthouse",
)

Step = Callable[[], object]


def main() -> None:
    """Prints rates and their ratio for each size of photograph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--turns", type=int, default=12, help="turns of each side, of four batches")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for shape in SHAPES:
        files = photographs(options.photographs, shape, IN_SHARD)
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), files)
            print(f"{shape[0]}×{shape[1]}: {compared(ours(Path(place)), peer(Path(place)), options.turns)}")


def write(place: Path, files: Sequence[bytes]) -> None:
    """Eight shards with the same photographs under other names."""
    for shard in range(SHARDS):
        with tarfile.open(place / f"{shard:05d}.tar", "w") as tar:
            for number in range(IN_SHARD):
                key = f"{shard:03d}{number:06d}"
                _add(tar, f"{key}.jpg", files[number % len(files)])
                _add(tar, f"{key}.txt", CAPTIONS[number % len(CAPTIONS)].encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def ours(place: Path) -> Step:
    """The loader's next batch, normalised as the image encoder does it, in memory that is kept as a device keeps it."""
    data = WebDataset(path=str(place / "*.tar"))
    make = BatchMaker(
        sources=[TrainingSource("data", data)],
        sampler=Shuffle([Source("data", data)], 0),
        transform=RandomCrop(),
        tokenizer=Tokenizer(from_released(folder() / "bpe_simple_vocab_16e6.txt.gz"), WORDS),
        context=CONTEXT,
        size=SIZE,
    )
    loader = iter(Loader(make=make, batch_size=BATCH, steps=10**9))
    normalised = torch.empty(BATCH, 3, SIZE, SIZE)
    return lambda: normalised.copy_(next(loader).pixels[0]).mul_(GAIN).sub_(OFFSET)


def peer(place: Path) -> Step:
    """The next batch of the loader that open_clip trains from."""
    shards = f"{place}/{{00000..{SHARDS - 1:05d}}}.tar"
    stream = _endless(lambda: batches(shards, size=SIZE, batch_size=BATCH, samples=BATCH * 10_000))
    return lambda: next(stream)


def _endless(make: Callable[[], Any]) -> Iterator[Any]:
    while True:
        yield from make()


def compared(own: Step, other: Step, turns: int) -> str:
    """Rates of processor time over turns of four batches; the first turn warms up."""
    times = [(_time(own), _time(other)) for _ in range(turns + 1)][1:]
    low, median, high = statistics.quantiles([there / here for here, there in times], n=4)
    here, there = (4 * BATCH / statistics.median(column) for column in zip(*times, strict=True))
    return (
        f"{here:,.0f} pairs/s, open_clip {there:,.0f} pairs/s, "
        f"ratio {median:.2f} ({low:.2f} to {high:.2f}; target {TARGET})"
    )


def _time(step: Step) -> float:
    start = time.process_time()
    for _ in range(4):
        step()
    return time.process_time() - start


if __name__ == "__main__":
    main()
