"""Image files of every odd kind, and a small data set to load."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import tokenizers
from numpy.typing import NDArray
from PIL import Image

from vlc_core import Dataset, Sample, Sampler, Source, Tokenizer, Transform, Vocabulary
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.order import shuffled
from vlc_core.loading.picture import Picture, fit
from vlc_core.loading.sources import TrainingSource

WIDTH, HEIGHT = 24, 16


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file of ``image`` in a format of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient() -> Image.Image:
    """An RGB picture whose four corners differ: red grows to the right, green downwards."""
    red, green = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    return Image.fromarray(np.stack([red, green, np.full_like(red, 40)], axis=2).astype(np.uint8))


def png_of_declared_size(width: int, height: int) -> bytes:
    """A valid one-bit PNG of any size; zeros compress a thousandfold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    return encoded


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    return gradient()


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """400 million pixels in 49 kB."""
    return png_of_declared_size(20_000, 20_000)


@final
class Pictures(Dataset):
    """Pictures whose colour tells their index; every ``bad_every``-th is broken."""

    def __init__(self, count: int = 50, *, bad_every: int = 0, kind: str = "captions") -> None:
        self.count, self.bad_every, self.kind = count, bad_every, kind
        self.classes = ["ant", "bee", "cat"] if kind == "labels" else None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.bad_every and index % self.bad_every == 0:
            return Sample(image=b"", texts=("never seen",), key=f"bad-{index}")
        colour = (index * 37 % 256, index * 11 % 256, index % 256)
        image = encoded(Image.new("RGB", (12, 8), colour), "PNG")
        if self.kind == "labels":
            return Sample(image=image, label=index % 3, key=f"image-{index}")
        texts = tuple(f"picture {index} {'word ' * (index % 4)}caption {c}" for c in range(1 + index % 3))
        return Sample(image=image, texts=texts, key=f"image-{index}")


@final
class InOrder(Sampler):
    """Shuffles over all sources."""

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        places = shuffled(numbers, self.epoch, self.seed)
        ends = np.cumsum(self.sizes)
        sources = np.searchsorted(ends, places, side="right")
        return sources, places - (ends - self.sizes)[sources]


@final
class Noisy(Transform):
    """The fitted picture under noise, so that every random number shows."""

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        noise = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        return fit(picture, size) ^ noise


def words() -> Tokenizer:
    """A tokenizer that knows numbers and a few words."""
    known = [
        "<pad>",
        "<unk>",
        "picture",
        "caption",
        "word",
        "photo",
        "ant",
        "bee",
        "cat",
        *map(str, range(200)),
    ]
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="<unk>")
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return Tokenizer(backend, Vocabulary(size=len(known), pad=0, unknown=1))


@dataclass(frozen=True)
class Kit:
    """What a loading test is made of."""

    pictures: type[Pictures] = Pictures

    def maker(self, *datasets: Dataset, **options: Any) -> BatchMaker:
        """A batch maker over ``datasets``; sources are called a, b, …"""
        seed = options.get("seed", 0)
        named = [(chr(ord("a") + i), dataset) for i, dataset in enumerate(datasets)]
        given = {
            "sources": [TrainingSource(name, dataset) for name, dataset in named],
            "sampler": InOrder([Source(name, dataset) for name, dataset in named], seed),
            "transform": Noisy(),
            "tokenizer": words(),
            "context": 12,
            "size": 8,
        }
        return BatchMaker(**{**given, **options})


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
