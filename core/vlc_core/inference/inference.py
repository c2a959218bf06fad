"""What evaluators are given, during training (where every rank encodes its share through the engine) and after it.

Shapes: N items, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from vlc_core import distributed
from vlc_core.inference.dual_encoder import DualEncoder
from vlc_core.inference.image_set import ImageSet, Share, image_set
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.vectors import check_width
from vlc_core.model.towers import Features
from vlc_core.tokenizer import Tokenizer

EncodePixels = Callable[[Tensor], Features]
EncodeTokens = Callable[[Tensor, Tensor], Tensor]


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
            share = Share(rows.start)
            pixels = share.read(dataset, rows, self.size, self.vector_width)
            features = self._pixels(pixels)
            share.embed = features.embed.float().cpu()[: len(share.keys)]
            share.summary = features.summary.float().cpu()[: len(share.keys)]
            shares.append(share)
        everywhere = [share for rank in distributed.gather_objects(shares) for share in rank]
        return image_set(sorted(everywhere, key=lambda share: share.start))

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
