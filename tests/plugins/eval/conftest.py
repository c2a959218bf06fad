"""A model whose embeddings are known, and data in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor

from vlc_core.batch import Sample, Skipped
from vlc_core.errors import DataError
from vlc_core.inference import ImageSet
from vlc_core.interfaces.dataset import Dataset


class Rows(Dataset):
    """Samples given as a list."""

    def __init__(self, samples: Sequence[Sample], classes: list[str] | None = None) -> None:
        self.samples = list(samples)
        self.classes = classes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class KnownModel:
    """Stands in for ``Inference``: images by their place in the data, texts by a function of each."""

    def __init__(self, image_ND: Tensor, text: Callable[[str], Tensor], *, unreadable: Sequence[int] = ()) -> None:
        self.image_ND = image_ND
        self.text = text
        self.unreadable = set(unreadable)
        self.digest = None
        self.cache = None
        self.encodings = 0
        self.calls: list[list[str]] = []

    def encode_images(self, dataset: Dataset) -> ImageSet:
        self.encodings += 1
        rows = [i for i in range(len(dataset)) if i not in self.unreadable]
        samples = [dataset[i] for i in rows]
        return ImageSet(
            embed=self.image_ND[rows],
            labels=torch.tensor([s.label for s in samples], dtype=torch.int64),
            texts=[s.texts for s in samples],
            keys=[s.key for s in samples],
            skipped=[Skipped(i, "evaluation", str(i), "broken") for i in sorted(self.unreadable)],
            summary=self.image_ND[rows] * 3,
        )

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        return torch.stack([self.text(t) for t in texts])


def sample(texts: Sequence[str] = (), label: int = -1, key: str = "") -> Sample:
    return Sample(Image.new("RGB", (2, 2)), tuple(texts), label, key)


def hashed(text: str, width: int = 8) -> Tensor:
    """A direction that only this text has, the same in every process."""
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return torch.randn(width, generator=generator)


@pytest.fixture(scope="session")
def known() -> SimpleNamespace:
    return SimpleNamespace(Rows=Rows, Model=KnownModel, sample=sample, hashed=hashed, DataError=DataError)
