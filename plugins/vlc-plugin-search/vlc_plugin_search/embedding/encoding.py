"""What a model makes of samples that were read.

Shapes: N samples, T texts, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vlc_core.inference import DualEncoder
from vlc_plugin_search.embedding.reading import Reading

TEXTS = 1024
"""That are encoded at once: a sample may have any number of them."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Samples with their embeddings.

    Attributes:
        read: The samples.
        image: (N, D) float32; None where there is none.
        text: (T, D) float32; None where there is none.
    """

    read: Reading
    image: Tensor | None
    text: Tensor | None

    def cpu(self) -> Encoded:
        """The same in the processor's memory; waits until a GPU is done with it."""
        image, text = (None if embed is None else embed.float().cpu() for embed in (self.image, self.text))
        return Encoded(self.read, image, text)


@torch.no_grad()
def encode(model: DualEncoder, read: Reading) -> Encoded:
    """The embeddings, where the model is; a GPU may still be at work on them."""
    image = None if read.pixels is None else model.towers.image(_there(read.pixels, model)).embed
    text = None
    if read.tokens is not None and read.mask is not None:
        pieces = zip(read.tokens.split(TEXTS), read.mask.split(TEXTS), strict=True)
        text = torch.cat([model.towers.text(_there(ids, model), _there(mask, model)).embed for ids, mask in pieces])
    return Encoded(read, image, text)


def encoded(model: DualEncoder, readings: Iterable[Reading]) -> Iterator[Encoded]:
    """The embeddings of each, in order, on the CPU; a GPU is given the next before the last is fetched."""
    before: Encoded | None = None
    for read in readings:
        begun = encode(model, read)
        if before is not None:
            yield before.cpu()
        before = begun
    if before is not None:
        yield before.cpu()


def _there(tensor: Tensor, model: DualEncoder) -> Tensor:
    return tensor.to(model.device, non_blocking=True)
