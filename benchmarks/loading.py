"""Batches a second on one core, against the loop that most training scripts have.

Run: ``python benchmarks/loading.py [SECONDS]``. The peer reads the same samples, cuts crops of the same size with
Pillow, tokenises text by text, and lets torch's ``DataLoader`` collate per-sample tensors of floats. The two take
turns for SECONDS each (3 by default), so that a busy machine slows both alike. Both run in this process, on one
thread. The digits pipeline should reach 5,000 samples a second at 32 pixels.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
import tokenizers
import torch
from PIL import Image
from torch.utils.data import DataLoader

from vlc_core import Dataset, Sample, Source, Tokenizer, Vocabulary
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import TrainingSource
from vlc_plugin_data.digits import Digits
from vlc_plugin_data.prompts import DIGITS
from vlc_plugin_data.samplers.shuffle import Shuffle
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.transforms.crop import random_box

BATCH, CONTEXT, TURNS = 128, 16, 3


@final
class Photographs(Dataset):
    """JPEG files of 640 × 480 pixels with some texture."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.files = [_jpeg(rng) for _ in range(32)]

    def __len__(self) -> int:
        return 4096

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.files[index % 32], ("somebody wrote the digit five",), key=str(index))


def _jpeg(rng: np.random.Generator) -> bytes:
    coarse = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def tokenizer() -> Tokenizer:
    """One id per word of the prompts."""
    words = sorted({word for text in DIGITS for word in text.replace(".", " .").split()} - {"{}"})
    known = {word: i for i, word in enumerate(["<pad>", "<unk>", *words])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="<unk>"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return Tokenizer(backend, Vocabulary(size=len(known), pad=0, unknown=1))


def ours(data: Dataset, size: int, words: Tokenizer) -> Iterator[Any]:
    """vlc's own loader."""
    make = BatchMaker(
        sources=[TrainingSource("data", data, DIGITS)],
        sampler=Shuffle([Source("data", data)], 0),
        transform=RandomCrop(),
        tokenizer=words,
        context=CONTEXT,
        size=size,
    )
    return iter(Loader(make=make, batch_size=BATCH, steps=10**9))


@final
class PerSample(torch.utils.data.Dataset[Any]):
    """The usual map-style data set: one sample to tensors."""

    def __init__(self, data: Dataset, size: int, words: Tokenizer) -> None:
        self.data, self.size, self.words, self.crop = data, size, words, RandomCrop()
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = self.data[index]
        image = sample.image if isinstance(sample.image, Image.Image) else Image.open(io.BytesIO(sample.image))
        left, top, width, height = random_box(image.size, self.rng, scale=self.crop.scale, ratio=self.crop.ratio)
        crop = image.convert("RGB").crop((left, top, left + width, top + height))
        resized = crop.resize((self.size, self.size), Image.Resampling.BICUBIC)
        view = torch.from_numpy(np.array(resized))
        text = sample.texts[0] if sample.texts else DIGITS[index % len(DIGITS)].replace("{}", "five")
        ids = self.words.encode([text], CONTEXT).ids[0]
        padded = torch.nn.functional.pad(ids, (0, CONTEXT - len(ids)))
        return (view.permute(2, 0, 1).float() / 255 - 0.45) / 0.27, padded


def usual(data: Dataset, size: int, words: Tokenizer) -> Iterator[Any]:
    """The peer, epoch after epoch."""
    while True:
        yield from DataLoader(PerSample(data, size, words), batch_size=BATCH, shuffle=True, drop_last=True)


def rate(batches: Iterator[Any], seconds: float) -> float:
    """Samples a second of processor time over about ``seconds``."""
    next(batches)
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        next(batches)
        count += BATCH
    return count / (time.process_time() - start)


def main() -> None:
    """Prints rates and ratios."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    words = tokenizer()
    cases: list[tuple[str, Callable[[], Dataset], int]] = [
        ("digits, 32 px", Digits, 32),
        ("JPEG 640×480, 224 px", Photographs, 224),
    ]
    for name, make_data, size in cases:
        data = make_data()
        own, peer = ours(data, size, words), usual(data, size, words)
        turns = [(rate(own, seconds), rate(peer, seconds)) for _ in range(TURNS)]
        here, there = (statistics.median(column) for column in zip(*turns, strict=True))
        print(f"{name}: {here:,.0f} samples/s, usual loop {there:,.0f} samples/s, ratio {here / there:.2f}")


if __name__ == "__main__":
    main()
