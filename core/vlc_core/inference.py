"""Using a model: pictures and texts in, embeddings out.

``DualEncoder`` is a finished model, read from a run. ``Inference`` is what evaluators are given, during training (where
every rank encodes its share through the engine) and after it.

Shapes: N items, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlc_core import distributed
from vlc_core.batch import Skipped
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.decode import decode, fit
from vlc_core.tokenizer import Tokenizer
from vlc_core.towers import Towers

if TYPE_CHECKING:
    from vlc_core.batch import Sample

EncodePixels = Callable[[Tensor], Tensor]
EncodeTokens = Callable[[Tensor, Tensor], Tensor]


class DualEncoder:
    """An image and a text encoder that share a space.

    Args:
        towers: The model; it is put into evaluation mode.
        tokenizer: The one that the text encoder was trained with.
    """

    def __init__(self, towers: Towers, tokenizer: Tokenizer) -> None:
        self.towers = towers.eval()
        self.tokenizer = tokenizer
        self.size = towers.image.encoder.size
        self.context = towers.text.encoder.context

    @classmethod
    def load(cls, path: str | Path, *, device: str | torch.device = "cpu") -> DualEncoder:
        """Reads the model of a run.

        Args:
            path: A run folder, or its ``model`` folder alone.
            device: Where to put it.

        Raises:
            StorageError: There is no model at ``path``, or its files do not fit together.
        """
        from vlc_core.assemble import load_towers  # here, because assembling imports what inference offers

        towers, tokenizer = load_towers(Path(path))
        return cls(towers.to(device), tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.towers.temperature.value.device

    @torch.inference_mode()
    def encode_image(self, images: Sequence[Image.Image] | Tensor, *, batch_size: int = 256) -> Tensor:
        """Embeddings (N, D) float32 of length one.

        Args:
            images: Pictures of any size and mode, which are resized and cropped as in evaluation; or a tensor
                (N, 3, size, size), uint8 or already normalised floating point.
            batch_size: How many are encoded at once.
        """
        if not isinstance(images, Tensor):
            images = stack_pixels([fit(decode(image), self.size) for image in images], self.size)
        return torch.cat([self.towers.image(x.to(self.device)).embed for x in _pieces(images, batch_size)])

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str], *, batch_size: int = 1024) -> Tensor:
        """Embeddings (N, D) float32 of length one; a text beyond the context is cut."""
        parts = [
            self.towers.text(tokens.to(self.device), mask.to(self.device)).embed
            for tokens, mask in _tokenised(self.tokenizer, texts, self.context, batch_size)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, self.towers.text.head.out_features)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The encoded images of a dataset, in its order.

    Attributes:
        embed: (N, D) float32 on the CPU.
        labels: (N,) int64, -1 where a sample has no label.
        texts: The captions of each.
        keys: What each is called.
        skipped: Samples that could not be read; they are not among the N.
    """

    embed: Tensor
    labels: Tensor
    texts: list[tuple[str, ...]]
    keys: list[str]
    skipped: list[Skipped]


class Inference:
    """What an evaluator may ask of a model. Every rank makes the same calls and gets the same answers.

    Args:
        pixels: Encodes (N, 3, H, W) uint8 to (N, D).
        tokens: Encodes (N, L) int64 and a mask to (N, D).
        tokenizer: Of the text encoder.
        size: The image encoder's side in pixels.
        context: The text encoder's context in tokens.
        scale: The learned 1/τ.
        batch_size: How many items are encoded at once on a rank.
    """

    def __init__(
        self,
        pixels: EncodePixels,
        tokens: EncodeTokens,
        tokenizer: Tokenizer,
        *,
        size: int,
        context: int,
        scale: float,
        batch_size: int = 256,
    ) -> None:
        self._pixels = pixels
        self._tokens = tokens
        self._tokenizer = tokenizer
        self.size = size
        self.context = context
        self.scale = scale
        self.batch_size = batch_size

    @classmethod
    def of(cls, model: DualEncoder, *, batch_size: int = 256) -> Inference:
        """Inference with a finished model."""
        return cls(
            lambda pixels: model.towers.image(pixels.to(model.device)).embed,
            lambda tokens, mask: model.towers.text(tokens.to(model.device), mask.to(model.device)).embed,
            model.tokenizer,
            size=model.size,
            context=model.context,
            scale=float(model.towers.temperature()),
            batch_size=batch_size,
        )

    @torch.no_grad()
    def encode_images(self, dataset: Dataset) -> ImageSet:
        """Encodes every image of ``dataset``; those that cannot be read are left out and listed."""
        shares = [_Share() for _ in range(self._rounds(len(dataset)))]
        for number, share in enumerate(shares):
            share.read(dataset, self._rows(number, len(dataset)), self.size)
            share.encode(self._pixels, self.size)
        everywhere = [share for rank in distributed.gather_objects([s.packed() for s in shares]) for share in rank]
        everywhere.sort(key=lambda packed: packed[0])
        return _image_set(everywhere)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (N, D) float32 on the CPU."""
        pieces = []
        for number in range(self._rounds(len(texts))):
            rows = self._rows(number, len(texts))
            own = [texts[i] for i in rows] or [""]  # an empty share encodes one text, so that ranks stay in step
            encoded = self._tokenizer.encode(own, self.context)
            pieces.append((rows.start, self._tokens(encoded.ids, encoded.mask).float().cpu()[: len(rows)]))
        gathered = sorted((p for rank in distributed.gather_objects(pieces) for p in rank), key=lambda piece: piece[0])
        return torch.cat([embed for _, embed in gathered])

    def _rounds(self, items: int) -> int:
        return max(1, -(-items // (self.batch_size * distributed.world())))

    def _rows(self, number: int, items: int) -> range:
        start = (number * distributed.world() + distributed.rank()) * self.batch_size
        return range(min(start, items), min(start + self.batch_size, items))


Packed = tuple[int, Tensor, list[int], list[tuple[str, ...]], list[str], list[Skipped]]


class _Share:
    """The part of a dataset that one rank encodes at once."""

    def __init__(self) -> None:
        self.start = 0
        self.samples: list[Sample] = []
        self.pixels: list[np.ndarray] = []
        self.skipped: list[Skipped] = []
        self.embed = torch.empty(0)

    def read(self, dataset: Dataset, rows: range, size: int) -> None:
        self.start = rows.start
        for index in rows:
            try:
                sample = dataset[index]
                self.pixels.append(fit(decode(sample.image), size))
            except DataError as error:
                self.skipped.append(Skipped(index, "evaluation", str(index), str(error)))
            else:
                self.samples.append(sample)

    def encode(self, pixels: EncodePixels, size: int) -> None:
        stacked = stack_pixels(self.pixels or [np.zeros((size, size, 3), np.uint8)], size)
        self.embed = pixels(stacked).float().cpu()[: len(self.samples)]
        self.pixels.clear()

    def packed(self) -> Packed:
        samples = self.samples
        texts, keys = [s.texts for s in samples], [s.key for s in samples]
        return self.start, self.embed, [s.label for s in samples], texts, keys, self.skipped


def _image_set(shares: Sequence[Packed]) -> ImageSet:
    return ImageSet(
        embed=torch.cat([share[1] for share in shares]),
        labels=torch.tensor([label for share in shares for label in share[2]], dtype=torch.int64),
        texts=[texts for share in shares for texts in share[3]],
        keys=[key for share in shares for key in share[4]],
        skipped=[skipped for share in shares for skipped in share[5]],
    )


def stack_pixels(images: Sequence[np.ndarray], size: int) -> Tensor:
    """(N, 3, size, size) uint8 from N arrays (size, size, 3)."""
    stacked = np.stack(images) if len(images) else np.zeros((0, size, size, 3), np.uint8)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()


def _pieces(items: Tensor, size: int) -> Sequence[Tensor]:
    return items.split(size) if len(items) else (items,)


def _tokenised(
    tokenizer: Tokenizer, texts: Sequence[str], context: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(texts), batch_size):
        encoded = tokenizer.encode(list(texts[start : start + batch_size]), context)
        yield encoded.ids, encoded.mask
