"""A finished model, read from a run: pictures and texts in, embeddings out.

Shapes: N items, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from vlc_core.errors import DataError
from vlc_core.inference.image_set import stack_pixels
from vlc_core.loading.picture import Picture, fit
from vlc_core.model.towers import Towers
from vlc_core.tokenizer import Tokenizer


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
        self.vector_width = towers.image.encoder.vector_width
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
        from vlc_core.model.folder import load_towers  # here, because assembling imports what inference offers

        towers, tokenizer = load_towers(Path(path))
        return cls(towers.to(device), tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.towers.temperature.value.device

    @torch.no_grad()  # not inference_mode: what comes out may be the input of something that is trained
    def encode_image(self, images: Sequence[Image.Image] | Tensor, *, batch_size: int = 256) -> Tensor:
        """Embeddings (N, D) float32 of length one.

        Args:
            images: Pictures of any size and mode, which are resized and cropped as in evaluation; or a tensor
                (N, 3, size, size), uint8 or already normalised floating point. An encoder of precomputed vectors
                takes those alone, (N, F).
            batch_size: How many are decoded and encoded at once.

        Raises:
            ValueError: A single picture, or a tensor of another shape.
            DataError: A picture has no defined colours.
        """
        shape = self.towers.image.encoder.input_shape
        listed = not isinstance(images, Image.Image | Tensor) and self.vector_width is None
        if not (listed or (isinstance(images, Tensor) and images.shape[1:] == shape)):
            got = f"a tensor of shape {tuple(images.shape)}" if isinstance(images, Tensor) else "pictures"
            got = "one picture" if isinstance(images, Image.Image) else got
            takes = "a list of pictures or " if self.vector_width is None else ""
            raise ValueError(f"encode_image takes {takes}a tensor (N, {', '.join(map(str, shape))}); got {got}")
        parts = []
        for start in range(0, len(images), batch_size):
            pixels = self._pixels(images, range(start, min(start + batch_size, len(images))))
            parts.append(self.towers.image(pixels.to(self.device)).embed)
        return self._joined(parts)

    def _pixels(self, images: Sequence[Image.Image] | Tensor, rows: range) -> Tensor:
        if isinstance(images, Tensor):
            return images[rows.start : rows.stop]
        fitted = []
        for index in rows:
            try:
                fitted.append(fit(Picture(images[index]), self.size))
            except DataError as error:
                raise DataError(f"picture {index} cannot be encoded: {error}") from error
        return stack_pixels(fitted, self.size)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], *, batch_size: int = 1024) -> Tensor:
        """Embeddings (N, D) float32 of length one; a text beyond the context is cut.

        Raises:
            ValueError: A single text.
        """
        if isinstance(texts, str):
            raise ValueError("encode_text takes a list of texts; got one text")
        parts = [
            self.towers.text(tokens.to(self.device), mask.to(self.device)).embed
            for tokens, mask in _tokenised(self.tokenizer, texts, self.context, batch_size)
        ]
        return self._joined(parts)

    def _joined(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts) if parts else torch.zeros(0, self.towers.text.embed_dim, device=self.device)


def _tokenised(
    tokenizer: Tokenizer, texts: Sequence[str], context: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(texts), batch_size):
        encoded = tokenizer.encode(list(texts[start : start + batch_size]), context)
        yield encoded.ids, encoded.mask
