"""A tiny model with random weights, and data in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vlc_core.assemble import build_tokenizer, build_towers
from vlc_core.batch import Sample
from vlc_core.errors import DataError
from vlc_core.inference import DualEncoder
from vlc_core.interfaces.dataset import Dataset
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_plugin_data.digits import Digits
from vlc_plugin_eval.transfer.bench import Bench
from vlc_plugin_eval.transfer.protocol import Protocol
from vlc_plugin_eval.transfer.task import Part, Task

SECTION: dict[str, Any] = {
    "image": {"use": "vit", "size": 8, "patch": 2, "width": 32, "depth": 1, "heads": 2},
    "text": {"use": "text-transformer", "width": 16, "depth": 1, "heads": 2, "context": 8},
    "tokenizer": {"use": "word"},
    "embed_dim": 12,
}


class Coloured(Dataset):
    """Pictures of one colour each, by their labels; those in ``broken`` cannot be read."""

    def __init__(
        self,
        labels: Sequence[int],
        classes: Sequence[str] | None = ("red", "green", "blue"),
        broken: Sequence[int] = (),
    ) -> None:
        self.given, self.broken = list(labels), set(broken)
        self.classes = None if classes is None else list(classes)

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise DataError("broken")
        colour = [0, 0, 0]
        colour[self.given[index] % 3] = 150 + index % 100
        return Sample(Image.new("RGB", (9, 8), tuple(colour)), (), self.given[index], str(index))

    def labels(self) -> np.ndarray | None:
        return np.array(self.given) if self.classes is not None else None


def built(section: dict[str, Any] = SECTION, seed: int = 0) -> DualEncoder:
    model = Model.model_validate(section)
    tokenizer = build_tokenizer(model, plugins().registry, lambda: ["a photo of a red green blue zero one"])
    torch.manual_seed(seed)
    return DualEncoder(build_towers(model, plugins().registry, tokenizer), tokenizer)


def bench(model: DualEncoder, **options: Any) -> Bench:
    return Bench(model, "digest", None, Protocol(**options), None)


def task(
    train: Dataset, test: Dataset, *, name: str = "colours", score: Any = "top1", classes: list[str] | None = None
) -> Task:
    """A task on all of both."""
    labels = np.array([train[row].label for row in range(len(train))])
    parts = [Part(dataset=dataset, rows=np.arange(len(dataset))) for dataset in (train, test)]
    names = classes or train.classes or [str(n) for n in range(int(labels.max()) + 1)]
    return Task(name, names, bool(train.classes), parts[0], labels, parts[1], score, held_out=False)


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    return SimpleNamespace(Coloured=Coloured, built=built, bench=bench, task=task, section=SECTION)


@pytest.fixture(scope="session")
def model() -> DualEncoder:
    return built()


@pytest.fixture(scope="session")
def digits() -> Task:
    return task(Digits(split="train"), Digits(split="test"), name="digits")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file of tasks."""

    def file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return file
