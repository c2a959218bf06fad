"""What evaluators are given, during training (where every rank encodes its share through the engine) and after it.

Shapes: N items or pairs, D embedding width, C classes, S × S patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from vlc_core import distributed
from vlc_core.errors import RecipeError
from vlc_core.inference.dual_encoder import DualEncoder
from vlc_core.inference.image_set import ImageSet, Share, image_set
from vlc_core.inference.judges import Judges, SavedJudges
from vlc_core.inference.pairing import read_pairs
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.objective import Objective
from vlc_core.loading.vectors import check_width
from vlc_core.model.judging import Look
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
        judges: Who tells classes of pairs; None where nobody does.
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
        judges: Judges | None = None,
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
        self._judges = judges

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
        from vlc_core.recipe.origin import model_home

        path = Path(run)
        cache = path / "evaluations" / "features" if (path / "recipe.yaml").is_file() else None
        model = DualEncoder.load(path, device=device)
        judges = SavedJudges(model, model_home(path))
        return cls.of(model, digest=model_digest(path), cache=cache, judges=judges)

    @classmethod
    def of(
        cls,
        model: DualEncoder,
        *,
        batch_size: int = 256,
        digest: str | None = None,
        cache: Path | None = None,
        judges: Judges | None = None,
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
            judges=SavedJudges(model) if judges is None else judges,
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

    def objective(self, name: str) -> Objective:
        """The objective that :meth:`judge` asks, for what it says of itself: its ``model.classes`` among that.

        Raises:
            RecipeError: There is none of that name, it tells no classes of pairs, or the model fuses no pairs.
        """
        if self._judges is None:
            raise RecipeError("this model reads no text and image together: it has no fusion encoder")
        return self._judges.find(name)

    def judge(self, objective: str, images: Dataset, texts: Sequence[str], pairs: Tensor) -> Tensor:
        """What an objective makes of pairs that the fusion encoder has read: logits (N, C) float32 on the CPU.

        Args:
            objective: Its name in the recipe.
            images: The images; neighbouring pairs of one image read it once.
            texts: The texts.
            pairs: (N, 2) int64, which image and which text.

        Returns:
            Rows of NaN where an image cannot be read.

        Raises:
            RecipeError: As :meth:`objective`.
            DataError: The objective reads two images, and a sample has one.
        """
        return self._judged(objective, images, texts, pairs, None)

    def attention(self, objective: str, images: Dataset, texts: Sequence[str], pairs: Tensor, look: Look) -> Tensor:
        """Where the fusion encoder looks in each pair for what speaks for a class: maps (N, S, S) float32 on the CPU.

        Arguments and errors are those of :meth:`judge`; ``look`` says which block and which class.

        Raises:
            RecipeError: The fusion encoder does not tell, or the objective reads two images.
        """
        if self.objective(objective).images > 1:
            raise RecipeError(
                f"the objective {objective!r} reads two images, and a map shows one: name another, as itm"
            )
        return self._judged(objective, images, texts, pairs, look)

    def _judged(
        self, objective: str, images: Dataset, texts: Sequence[str], pairs: Tensor, look: Look | None
    ) -> Tensor:
        both = self.objective(objective).images > 1
        assert self._judges is not None
        pieces = []
        for number in range(self._rounds(len(pairs))):
            rows = self._rows(number, len(pairs))
            given, readable = read_pairs(
                images, texts, pairs[rows.start : rows.stop], self._tokenizer,
                size=self.size, context=self.context, both=both,
            )  # fmt: skip
            found = self._judges.run(objective, given, look).float().cpu()
            piece = found.new_full((len(rows), *found.shape[1:]), torch.nan)
            piece[readable] = found[: int(readable.sum())]
            pieces.append((rows.start, piece))
        gathered = sorted((p for rank in distributed.gather_objects(pieces) for p in rank), key=lambda piece: piece[0])
        return torch.cat([piece for _, piece in gathered])

    def _rounds(self, items: int) -> int:
        return max(1, -(-items // (self.batch_size * distributed.world())))

    def _rows(self, number: int, items: int) -> range:
        start = (number * distributed.world() + distributed.rank()) * self.batch_size
        return range(min(start, items), min(start + self.batch_size, items))
