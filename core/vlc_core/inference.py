"""Using a model: pictures and texts in, embeddings out.

``DualEncoder`` is a finished model, read from a run. ``Inference`` is what evaluators are given, during training (where
every rank encodes its share through the engine) and after it.

Shapes: N items, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vlc_core import distributed
from vlc_core.batch import Skipped
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.picture import Picture, fit
from vlc_core.loading.vectors import as_picture, as_vector, check_width
from vlc_core.model.towers import Features, Towers
from vlc_core.tokenizer import Tokenizer

EncodePixels = Callable[[Tensor], Features]
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


class Inference:
    """What an evaluator may ask of a model. Every rank makes the same calls and gets the same answers.

    Args:
        pixels: Encodes (N, 3, H, W) uint8.
        tokens: Encodes (N, L) int64 and a mask to (N, D).
        tokenizer: Of the text encoder.
        size: The image encoder's side in pixels.
        context: The text encoder's context in tokens.
        scale: The learned 1/τ.
        batch_size: How many items are encoded at once on a rank.
        digest: What the model hashes to; None while it is being trained.
        cache: A folder for what was computed with this very model; it may be removed at any time. None for none.
        vector_width: F, where the image encoder takes precomputed vectors; ``pixels`` is then given (N, F) float32.
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
        digest: str | None = None,
        cache: Path | None = None,
        vector_width: int | None = None,
    ) -> None:
        self._pixels = pixels
        self._tokens = tokens
        self._tokenizer = tokenizer
        self.size = size
        self.context = context
        self.scale = scale
        self.batch_size = batch_size
        self.digest = digest
        self.cache = cache
        self.vector_width = vector_width

    @classmethod
    def load(cls, run: str | Path, *, device: str | torch.device = "cpu") -> Inference:
        """Inference with the model of a run; what it computes may be kept in the run's ``evaluations/features``.

        Args:
            run: A run folder, or its ``model`` folder alone, which nothing is written to.
            device: Where to put the model.

        Raises:
            StorageError: There is no model at ``run``, or its files do not fit together.
        """
        from vlc_core.model.digest import model_digest

        path = Path(run)
        cache = path / "evaluations" / "features" if (path / "recipe.yaml").is_file() else None
        return cls.of(DualEncoder.load(path, device=device), digest=model_digest(path), cache=cache)

    @classmethod
    def of(
        cls, model: DualEncoder, *, batch_size: int = 256, digest: str | None = None, cache: Path | None = None
    ) -> Inference:
        """Inference with a finished model."""
        return cls(
            lambda pixels: model.towers.image(pixels.to(model.device)),
            lambda tokens, mask: model.towers.text(tokens.to(model.device), mask.to(model.device)).embed,
            model.tokenizer,
            size=model.size,
            vector_width=model.vector_width,
            context=model.context,
            scale=float(model.towers.temperature().detach()),
            batch_size=batch_size,
            digest=digest,
            cache=cache,
        )

    @torch.no_grad()
    def encode_images(self, dataset: Dataset) -> ImageSet:
        """Encodes every image of ``dataset``; those that cannot be read are left out and listed.

        Raises:
            RecipeError: It gives pictures to an encoder of vectors, or vectors that the encoder does not take.
        """
        check_width(dataset, self.vector_width, data="the data to be evaluated", encoder="the image encoder")
        shares = []
        for number in range(self._rounds(len(dataset))):
            rows = self._rows(number, len(dataset))
            share = _Share(rows.start)
            pixels = share.read(dataset, rows, self.size, self.vector_width)
            features = self._pixels(pixels)
            share.embed = features.embed.float().cpu()[: len(share.keys)]
            share.summary = features.summary.float().cpu()[: len(share.keys)]
            shares.append(share)
        everywhere = [share for rank in distributed.gather_objects(shares) for share in rank]
        return _image_set(sorted(everywhere, key=lambda share: share.start))

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


@dataclass(slots=True)
class _Share:
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
                pixels.append(_seen(sample.image, size, width))
            except (DataError, OSError) as error:
                self.skipped.append(Skipped(index, "evaluation", f"#{index}", str(error)))
            else:
                self.labels.append(sample.label)
                self.texts.append(sample.texts)
                self.keys.append(sample.key)
        if width is not None:
            return torch.from_numpy(np.stack(pixels or [np.zeros(width, np.float32)]))
        return stack_pixels(pixels or [np.zeros((size, size, 3), np.uint8)], size)


def _seen(image: bytes | Image.Image | NDArray[np.float32], size: int, width: int | None) -> NDArray[Any]:
    """The vector (F,), or the fitted picture (size, size, 3)."""
    return fit(Picture(as_picture(image)), size) if width is None else as_vector(image, width)


def _image_set(shares: Sequence[_Share]) -> ImageSet:
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


def _tokenised(
    tokenizer: Tokenizer, texts: Sequence[str], context: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(texts), batch_size):
        encoded = tokenizer.encode(list(texts[start : start + batch_size]), context)
        yield encoded.ids, encoded.mask
