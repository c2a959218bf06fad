"""Samples of several datasets by one number, as batches that towers take.

Shapes: N samples, S side in pixels, F numbers of a precomputed vector, T texts, L tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.batch import Sample, Skipped
from vlc_core.errors import DataError
from vlc_core.inference.image_set import seen, stack_pixels
from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.sources import TrainingSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_search.embedding.row import Row
from vlc_plugin_search.sides import Side


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples that were read, ready to be encoded.

    Attributes:
        rows: Those that could be read, N of them.
        skipped: Those that could not.
        pixels: (N, 3, S, S) uint8 or (N, F) float32; None where images are not wanted, or there is none.
        tokens: (T, L) int64, of the texts of each row in turn; None where texts are not wanted, or there is none.
        mask: (T, L) bool, true at real tokens.
    """

    rows: list[Row]
    skipped: list[Skipped]
    pixels: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None

    def pin_memory(self) -> Reading:
        """The same in page-locked memory, so that copies to a GPU overlap with compute."""
        pixels, tokens, mask = (
            None if tensor is None else tensor.pin_memory() for tensor in (self.pixels, self.tokens, self.mask)
        )
        return replace(self, pixels=pixels, tokens=tokens, mask=mask)


@final
class Reader:
    """A pure function from sample numbers to a :class:`Reading`, called in worker processes.

    Args:
        sources: The datasets; a sample's number counts on from one to the next.
        sides: What of the samples is wanted.
        tokenizer: Of the text encoder.
        context: The most tokens of a text.
        size: S.
        vector_width: F, where the image encoder takes precomputed vectors.
    """

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        sides: Sequence[Side],
        *,
        tokenizer: Tokenizer,
        context: int,
        size: int,
        vector_width: int | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._ends = list(accumulate(len(source.dataset) for source in sources))
        self._sides = tuple(sides)
        self._tokenizer, self._context = tokenizer, context
        self._size, self._vector_width = size, vector_width

    def __len__(self) -> int:
        return self._ends[-1]

    def locate(self, number: int) -> tuple[int, int]:
        """Which source a sample is of, and its number there."""
        source = bisect_right(self._ends, number)
        return source, number - (self._ends[source - 1] if source else 0)

    def __call__(self, numbers: Int64Array) -> Reading:
        """The samples with ``numbers``; those beyond the last one are left out."""
        rows: list[Row] = []
        skipped: list[Skipped] = []
        images: list[NDArray[Any]] = []
        for number in numbers[numbers < len(self)].tolist():
            source, index = self.locate(number)
            try:
                row, image = self._read(source, index)
            except (DataError, OSError) as error:
                name = self._sources[source].name
                skipped.append(Skipped(number, name, f"#{index}", str(error) or type(error).__name__))
                continue
            rows.append(row)
            images += [] if image is None else [image]
        read = Reading(rows, skipped, self._stacked(images))
        return self._tokenised(read) if Side.TEXT in self._sides else read

    def row(self, number: int) -> Row:
        """What is kept of a sample.

        Raises:
            DataError: It cannot be read. The message is a clause.
        """
        source, index = self.locate(number)
        return self._row(source, index, self._sample(source, index))

    def _read(self, source: int, index: int) -> tuple[Row, NDArray[Any] | None]:
        sample = self._sample(source, index)
        row = self._row(source, index, sample)
        if Side.IMAGE in self._sides:
            return row, seen(sample.image, self._size, self._vector_width)
        if not row.texts:
            self._sources[source].captions(sample)  # says why it has none
        return row, None

    def _sample(self, source: int, index: int) -> Sample:
        """The sample, or what is left of it without its image where only texts are wanted."""
        dataset = self._sources[source].dataset
        try:
            return dataset[index]
        except (DataError, OSError):
            if Side.IMAGE in self._sides:
                raise
            return Sample(b"", dataset.texts(index))

    def _row(self, source: int, index: int, sample: Sample) -> Row:
        of = self._sources[source]
        try:
            texts = of.captions(sample)
        except DataError:
            texts = ()
        label, names = of.local_label(sample), of.dataset.classes
        return Row(source, index, sample.key or f"#{index}", names[label] if names and label >= 0 else None, texts)

    def _stacked(self, images: Sequence[NDArray[Any]]) -> Tensor | None:
        if not images:
            return None
        return stack_pixels(images, self._size) if self._vector_width is None else torch.from_numpy(np.stack(images))

    def _tokenised(self, read: Reading) -> Reading:
        texts = [text for row in read.rows for text in row.texts]
        if not texts:
            return read
        encoded = self._tokenizer.encode(texts, self._context)
        return replace(read, tokens=encoded.ids, mask=encoded.mask)
