"""``vlc embed`` against the bare encoder: what reading, decoding and writing cost beside the forward passes.

Run: ``python benchmarks/embed.py [--size 224] [--width 768] [--depth 12] [--samples 256] [--workers 1] [--turns 3]``.
The source is a table of JPEG files of 500 × 375 pixels, the model a vision transformer without training. All that the
command does once model and source are open, from starting the readers to the finished index, takes turns with the same
batches, read before, through the image tower alone. Ratios
of rates by the wall clock and by the processor's time of all processes, medians of the turns with the least and the
most; the rate by the wall clock should be at least 0.95 × that of the bare encoder.

On few cores the readers take theirs from the encoder: the second ratio says how much there is to read for each forward
pass, which is all that an overlap can hide.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tokenizers
import torch
from PIL import Image

from vlc_core import Tokenizer, Vocabulary, folders
from vlc_core.assemble import build_towers
from vlc_core.model.folder import model_files
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_plugin_search.embedding.encoding import encode
from vlc_plugin_search.embedding.making import Making
from vlc_plugin_search.embedding.opening import open_making
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.indexing.building import Graph
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Part

FILES = 64


class Rates(NamedTuple):
    """Samples a second by the wall clock, and by the processor's time of this process and its workers."""

    wall: float
    processor: float


def write_images(folder: Path, samples: int) -> Path:
    """A table of photographs' size and texture, each of 64 files several times."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (47, 63, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
    table = folder / "images.csv"
    table.write_text("image,id\n" + "".join(f"{number % FILES}.jpg,{number}\n" for number in range(samples)))
    return table


def write_run(folder: Path, *, size: int, width: int, depth: int) -> Path:
    """A model that has learned nothing."""
    words = {"<pad>": 0, "<unk>": 1}
    tokenizer = Tokenizer(
        tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>")), Vocabulary(2, pad=0, unknown=1)
    )
    image = {"use": "vit", "size": size, "patch": 16, "width": width, "depth": depth}
    text = {"use": "text-transformer", "width": 64, "depth": 1, "context": 8}
    model = Model.model_validate({"image": image, "text": text, "embed_dim": 512})
    towers = build_towers(model, plugins().registry, tokenizer)
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    folders.write_folder(folder / "model", model_files(model, towers.state_dict(), tokenizer, scratch))
    return folder


def rates(samples: int, work: Callable[[], None]) -> Rates:
    """How fast ``work`` does its samples."""
    wall, before = time.perf_counter(), os.times()
    work()
    seconds, after = time.perf_counter() - wall, os.times()
    return Rates(samples / seconds, samples / sum(b - a for a, b in zip(before[:4], after[:4], strict=True)))


def main() -> None:
    """Prints rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), given)


def compare(folder: Path, given: argparse.Namespace) -> None:
    """Prints rates and ratios of turns in ``folder``."""
    run = write_run(folder / "run", size=given.size, width=given.width, depth=given.depth)
    table = str(write_images(folder, given.samples))
    made = open_making(
        table,
        run,
        folder / "none",
        part=Part.IMAGE,
        precision=Precision.FLOAT32,
        batch_size=given.batch_size,
        part_size=256,
    )
    reader, model = made.reader, made.model
    starts = range(0, given.samples, given.batch_size)
    batches = [reader(np.arange(start, start + given.batch_size, dtype=np.int64)) for start in starts]
    turns = []
    for turn in range(given.turns):

        def bare() -> None:
            for batch in batches:
                encode(model, batch).cpu()

        def command() -> None:
            out = folder / f"out-{turn}"  # noqa: B023
            making = Making(out, made.description, model, reader, workers=given.workers)
            making.run(Kind.EXACT, Graph(), lambda done, total: None, lambda done, total: None)

        encode(model, batches[0])
        turns.append((rates(given.samples, bare), rates(given.samples, command)))
    print(f"{given.size} px, width {given.width}, depth {given.depth}, {given.workers} workers")
    for clock in ("wall", "processor"):
        bare_rates = [getattr(bare, clock) for bare, _ in turns]
        ratios = [getattr(command, clock) / getattr(bare, clock) for bare, command in turns]
        told = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})"
        print(f"  bare encoder {statistics.median(bare_rates):.1f} images/s of {clock} time, ratio {told}", flush=True)


if __name__ == "__main__":
    main()
