"""What flows from a dataset to a training step: one ``Sample``, then a ``Batch`` of them.

Shapes: V views, B batch, L tokens, A answers, H × W pixels, F numbers of a precomputed vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

UNLABELLED = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a dataset, not yet decoded, augmented or tokenised.

    Attributes:
        image: The encoded file as bytes, which the loader decodes, a picture that is already drawn, or a precomputed
            vector (F,) float32 in its place.
        texts: The captions; several captions of one image stand together. Empty where the data has a label only:
            a text is then made from the class name and a prompt template.
        label: The class by its index into ``Dataset.classes``; -1 where there is none.
        key: What the image is called. Samples of one source with equal keys show the same image.
        second: A second image that the texts speak of together with the first; it is then the second view in
            training, in place of another cut of the first.
        answers: Several classes that are right to a degree, each with its score in 0…1, in place of the one label.
    """

    image: bytes | Image.Image | NDArray[np.float32]
    texts: tuple[str, ...] = ()
    label: int = UNLABELLED
    key: str = ""
    second: bytes | Image.Image | None = None
    answers: tuple[tuple[int, float], ...] = ()


class Skipped(NamedTuple):
    """A sample that could not be used; another was drawn in its place."""

    number: int
    source: str
    key: str
    reason: str


@dataclass(slots=True)
class Batch:
    """The samples of one step on one rank.

    Attributes:
        pixels: (V, B, 3, H, W) uint8, one entry per view; floating point is taken as already normalised. Precomputed
            vectors are (V, B, F) float32.
        tokens: (B, L) int64, padded to the longest text of the batch.
        mask: (B, L) bool, true at real tokens.
        labels: (B,) int64, -1 where a sample has no label.
        groups: (B,) int64, equal for samples that show the same image.
        numbers: (B,) int64, the sample numbers: the only key to anything random about a sample.
        keys: The names of the samples, B of them.
        skipped: Samples whose slots were drawn again while this batch was made.
        truncated: How many texts were cut at the encoder's context.
        answers: (B, A) int64, the classes that are right to a degree, -1 where a sample has fewer; None where no
            sample of the batch has any.
        scores: (B, A) float32, of each answer.
    """

    pixels: Tensor
    tokens: Tensor
    mask: Tensor
    labels: Tensor
    groups: Tensor
    numbers: Tensor
    keys: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    truncated: int = 0
    answers: Tensor | None = None
    scores: Tensor | None = None

    def __len__(self) -> int:
        return self.labels.shape[0]

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on ``device``."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, so that copies to a GPU overlap with compute."""
        return self._each(Tensor.pin_memory)

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of ``size`` samples in order; skipped and truncated stay with the first.

        A micro-batch keeps only the token columns that its own longest text needs.
        """
        parts = []
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            longest = max(1, int(self.mask[rows].sum(dim=1).max()))
            first = start == 0
            parts.append(
                Batch(
                    pixels=self.pixels[:, rows],
                    tokens=self.tokens[rows, :longest],
                    mask=self.mask[rows, :longest],
                    labels=self.labels[rows],
                    groups=self.groups[rows],
                    numbers=self.numbers[rows],
                    keys=self.keys[rows],
                    skipped=self.skipped if first else (),
                    truncated=self.truncated if first else 0,
                    answers=None if self.answers is None else self.answers[rows],
                    scores=None if self.scores is None else self.scores[rows],
                )
            )
        return parts

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors: dict[str, Any] = {
            f.name: change(value) for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)
