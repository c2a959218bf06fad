"""The images of a dataset as arrays, and what a model makes of them.

Shapes: N items, D embedding width, W encoder width, F numbers of a precomputed vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vlc_core.batch import Skipped
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.picture import Picture, fit
from vlc_core.loading.vectors import as_picture, as_vector


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The encoded images of a dataset, in its order.

    Attributes:
        embed: (N, D) float32 on the CPU.
        labels: (N,) int64, -1 where a sample has no label.
        texts: The captions of each.
        keys: What each is called.
        skipped: Samples that could not be read; they are not among the N.
        summary: (N, W) float32 on the CPU, what the encoder gave before the projection to the shared space.
    """

    embed: Tensor
    labels: Tensor
    texts: list[tuple[str, ...]]
    keys: list[str]
    skipped: list[Skipped]
    summary: Tensor


@dataclass(slots=True)
class Share:
    """The part of a dataset that one rank encodes at once; it keeps what is left of a sample without its image."""

    start: int
    embed: Tensor = field(default_factory=lambda: torch.empty(0))
    summary: Tensor = field(default_factory=lambda: torch.empty(0))
    labels: list[int] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def read(self, dataset: Dataset, rows: range, size: int, width: int | None) -> Tensor:
        """What the encoder takes of the samples that can be read; zeros where there are none, to stay in step."""
        pixels: list[NDArray[Any]] = []
        for index in rows:
            try:
                sample = dataset[index]
                pixels.append(seen(sample.image, size, width))
            except (DataError, OSError) as error:
                self.skipped.append(Skipped(index, "evaluation", f"#{index}", str(error)))
            else:
                self.labels.append(sample.label)
                self.texts.append(sample.texts)
                self.keys.append(sample.key)
        if width is not None:
            return torch.from_numpy(np.stack(pixels or [np.zeros(width, np.float32)]))
        return stack_pixels(pixels or [np.zeros((size, size, 3), np.uint8)], size)


def seen(image: bytes | Image.Image | NDArray[np.float32], size: int, width: int | None) -> NDArray[Any]:
    """What an encoder takes of an image: the vector (F,), or the fitted picture (size, size, 3) uint8.

    Raises:
        DataError: It cannot be read. The message is a clause.
    """
    return fit(Picture(as_picture(image)), size) if width is None else as_vector(image, width)


def image_set(shares: Sequence[Share]) -> ImageSet:
    return ImageSet(
        embed=torch.cat([share.embed for share in shares]),
        labels=torch.tensor([label for share in shares for label in share.labels], dtype=torch.int64),
        texts=[texts for share in shares for texts in share.texts],
        keys=[key for share in shares for key in share.keys],
        skipped=[skipped for share in shares for skipped in share.skipped],
        summary=torch.cat([share.summary for share in shares]),
    )


def stack_pixels(images: Sequence[NDArray[np.uint8]], size: int) -> Tensor:
    """(N, 3, size, size) uint8 from N arrays (size, size, 3)."""
    stacked = np.stack(images) if len(images) else np.zeros((0, size, size, 3), np.uint8)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
