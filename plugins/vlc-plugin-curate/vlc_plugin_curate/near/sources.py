"""Several sources of images as one, whose rows follow one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from vlc_core import DataError, Dataset, Sample
from vlc_core.naming import SourceSpec, Split, find_sources
from vlc_core.registry import Registry
from vlc_core.terminal import waiting
from vlc_plugin_curate.near.fingerprints import Fingerprints, fingerprints
from vlc_plugin_data.tars.kept import cache_folder


@final
class Sources(Dataset):
    """Several datasets, one behind the other.

    Args:
        specs: What they are.
        datasets: Opened.

    Attributes:
        specs: As given.
        datasets: As given.
        starts: The row of the first sample of each, and the number of all.
    """

    def __init__(self, specs: Sequence[SourceSpec], datasets: Sequence[Dataset]) -> None:
        self.specs, self.datasets = tuple(specs), tuple(datasets)
        self.starts = np.concatenate([[0], np.cumsum([len(dataset) for dataset in datasets])]).astype(np.int64)

    @property
    def name(self) -> str:
        """Of all together."""
        return ", ".join(spec.name for spec in self.specs)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> Sample:
        source, row = self.place(index)
        return self.datasets[source][row]

    def texts(self, index: int) -> tuple[str, ...]:
        source, row = self.place(index)
        return self.datasets[source].texts(row)

    def place(self, index: int) -> tuple[int, int]:
        """Which dataset a row is of, and which of its samples it is."""
        source = int(np.searchsorted(self.starts, index, side="right")) - 1
        return source, index - int(self.starts[source])

    def fingerprints(self, cache: Path | None, workers: int) -> Fingerprints:
        """Of all their images, with a progress bar for each.

        Raises:
            StorageError: The cache cannot be written.
            DataError: None of the images can be read.
        """
        parts = [
            fingerprints(dataset, name=spec.name, cache=cache, workers=workers, keep_as=spec.block)
            for spec, dataset in zip(self.specs, self.datasets, strict=True)
        ]
        unreadable = [
            one._replace(number=one.number + int(start))
            for start, part in zip(self.starts, parts, strict=False)
            for one in part.unreadable
        ]
        if len(unreadable) == len(self):
            raise DataError(
                f"none of the {len(self):,} images of {self.name} can be read, the first because {unreadable[0].reason}"
            )
        return Fingerprints(np.concatenate([part.rows for part in parts]), tuple(unreadable))


def open_sources(
    sources: Sequence[str], registry: Registry, *, sets: Sequence[str] = (), split: Split = "train"
) -> Sources:
    """The datasets that ``sources`` mean.

    Raises:
        RecipeError: One means nothing, or its options are wrong.
        DataError: One is missing or empty, or holds vectors.
    """
    specs = [spec for source in sources for spec in find_sources(source, registry, sets=sets, split=split)]
    datasets = []
    for spec in specs:
        with waiting(f"opening {spec.name} …"):
            dataset = spec.open(registry)
        if dataset.vector_width is not None:
            raise DataError(f"{spec.name} holds vectors, and only images can be compared: name what they were made of")
        datasets.append(dataset)
    return Sources(specs, datasets)


def cache_of(given: Path | None) -> Path:
    """Where fingerprints are kept: in ``given``, or among what vlc keeps for its user."""
    return cache_folder().parent / "near" if given is None else given
