"""What an objective sees of a training step.

Shapes: B samples of this rank, D embedding width, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from vlc_core.batch import Batch
from vlc_core.errors import VlcError
from vlc_core.interfaces.encoder import Encoded, Vocabulary
from vlc_core.interfaces.objective import Needs
from vlc_core.masking import Masked, mask_tokens
from vlc_core.model.towers import Features, Towers
from vlc_core.model.twins import Twins
from vlc_core.momentum import FeatureQueue

View = Literal["own", "other"]
"""Which view of an image its twin sees: the student's first, or one of its own."""
TEXT, MASKED_TEXT = "text", "masked_text"
_TWIN = "momentum."


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in every step of a run.

    Attributes:
        towers: The model.
        needs: Of all objectives together.
        twins: Of the model, where an objective needs them.
        seed: Of the run.
        twin_view: Which view the image twin sees.
        vocabulary: Of the tokenizer, where tokens are masked.
    """

    towers: Towers
    needs: Needs = field(default_factory=Needs)
    twins: Twins | None = None
    seed: int = 0
    twin_view: View = "other"
    vocabulary: Vocabulary | None = None

    @property
    def views(self) -> int:
        """How many views of an image a batch must bring."""
        return max(self.needs.views, 2 if self.needs.momentum and self.twin_view == "other" else 1)

    def student(self) -> list[str]:
        """The features that are computed with gradient, by name, in the order in which they are computed."""
        return [*map(_view, range(self.needs.views)), TEXT, *([MASKED_TEXT] if self.needs.masking else [])]

    def momentum(self) -> list[str]:
        """The features of the twins likewise."""
        if not self.needs.momentum:
            return []
        return [_TWIN + name for name in (_view(0), TEXT, *([MASKED_TEXT] if self.needs.masking else []))]


class Step:
    """The features of one batch on this rank, each computed when first asked for and shared by every objective.

    Attributes:
        labels: (B,) int64, -1 where a sample has no label.
        groups: (B,) int64, equal for samples that show the same image.
        numbers: (B,) int64, the sample numbers, for anything random about a sample.
        seed: Of the run.
        progress: The share of the run that is done, 0…1.
        epoch: How often the data has been seen, 0 at the start.
        chunk: How many rows may be fused at once, where the batch is too much for memory; None for any number.
    """

    def __init__(
        self,
        setting: Setting,
        batch: Batch,
        *,
        progress: float = 0.0,
        epoch: float = 0.0,
        known: Mapping[str, Features] | None = None,
        scale: Tensor | None = None,
        chunk: int | None = None,
    ) -> None:
        """Takes features that are already there by their names; the towers give the others."""
        self._setting = setting
        self._towers = setting.towers
        self._batch = batch
        self._known: dict[str, Features] = dict(known or {})
        self._scale = scale
        # An objective may be the first to ask for a feature where it takes no gradient itself; others do.
        self._graph = torch.is_grad_enabled()
        self.labels = batch.labels
        self.groups = batch.groups
        self.numbers = batch.numbers
        self.seed = setting.seed
        self.progress = progress
        self.epoch = epoch
        self.chunk = chunk

    def __len__(self) -> int:
        return len(self._batch)

    @property
    def image(self) -> Features:
        """Features of the first view of the images."""
        return self.view(0)

    def view(self, index: int) -> Features:
        """Features of view ``index`` of the images; the objective's ``Needs.views`` says how many there are."""
        return self.features(_view(index))

    @property
    def text(self) -> Features:
        """Features of the texts."""
        return self.features(TEXT)

    @property
    def masked_text(self) -> Features:
        """Features of the texts with hidden tokens, for objectives whose ``Needs.masking`` is not 0."""
        return self.features(MASKED_TEXT)

    @cached_property
    def masked(self) -> Masked:
        """The texts with hidden tokens, and what was hidden."""
        needs, vocabulary = self._setting.needs, self._setting.vocabulary
        if not needs.masking or vocabulary is None:
            raise VlcError("nothing is masked in this step: set Needs.masking of the objective that asks")
        batch = self._batch
        return mask_tokens(
            batch.tokens, batch.mask, batch.numbers, seed=self.seed, probability=needs.masking, vocabulary=vocabulary
        )

    @cached_property
    def momentum(self) -> MomentumStep:
        """The same features by the momentum twins, without gradient."""
        return MomentumStep(self, self._twins)

    @property
    def queue(self) -> Queues:
        """What the twins gave to earlier batches."""
        return Queues(self._twins.image_queue, self._twins.text_queue)

    @property
    def scale(self) -> Tensor:
        """The scale 1/τ of the logits, shape (1,)."""
        if self._scale is None:
            with torch.set_grad_enabled(self._graph):
                self._scale = self._towers.temperature()
        return self._scale

    @property
    def answers(self) -> tuple[Tensor, Tensor] | None:
        """Classes that are right to a degree (B, A) int64, -1 for none, and their scores (B, A); None without any."""
        batch = self._batch
        return None if batch.answers is None or batch.scores is None else (batch.answers, batch.scores)

    @property
    def tokens(self) -> tuple[Tensor, Tensor]:
        """The token ids of the texts (B, L) int64, and the mask (B, L) bool that is true at real ones."""
        return self._batch.tokens, self._batch.mask

    def encode_text(self, tokens: Tensor, mask: Tensor) -> Features:
        """Features of ``tokens`` (N, L), other texts than the batch's.

        Only for objectives whose ``Needs.scope`` is "micro": what one of scope "batch" computes is not replayed.
        """
        features: Features = self._towers.text(tokens, mask)
        return features

    def fuse(self, text: Features, image: Features) -> Encoded:
        """Texts and images read together, row by row; both carry tokens."""
        return self._towers.fuse(text, image)

    def features(self, name: str) -> Features:
        """The features of that name, one of :meth:`Setting.student` or :meth:`Setting.momentum`."""
        if name not in self._known:
            with torch.set_grad_enabled(self._graph):
                self._known |= self._computed(name)
        return self._known[name]

    def encode(self, names: list[str]) -> dict[str, Features]:
        """The features of these names, computed in their order: a replay draws the same dropout only in the same."""
        return {name: self.features(name) for name in names}

    @property
    def _twins(self) -> Twins:
        if self._setting.twins is None:
            raise VlcError("this model has no momentum twins: set Needs.momentum of the objective that asks for them")
        return self._setting.twins

    def _computed(self, name: str) -> dict[str, Features]:
        """One pass of a tower, which may give more than one kind of features."""
        twin, plain = name.startswith(_TWIN), name.removeprefix(_TWIN)
        model: Towers | Twins = self._twins if twin else self._towers
        prefix = _TWIN if twin else ""
        if plain in (TEXT, MASKED_TEXT):
            return {prefix + key: features for key, features in self._texts(model)}
        view = int(plain.removeprefix(_view("")))
        if twin and self._setting.twin_view == "other":
            view = 1
        return {name: model.image(self._batch.pixels[view])}

    def _texts(self, model: Towers | Twins) -> Iterator[tuple[str, Features]]:
        """The whole and, where they are needed, the masked texts, in one pass."""
        tokens, mask = self._batch.tokens, self._batch.mask
        if not self._setting.needs.masking:
            yield TEXT, model.text(tokens, mask)
            return
        both: Features = model.text(torch.cat([tokens, self.masked.ids]), torch.cat([mask, mask]))
        for key, rows in ((TEXT, slice(0, len(self))), (MASKED_TEXT, slice(len(self), None))):
            yield key, Features(*(None if x is None else x[rows] for x in both))  # type: ignore[arg-type]


class MomentumStep:
    """A step's features by the momentum twins; ``local`` ones where an objective needs them."""

    def __init__(self, step: Step, twins: Twins) -> None:
        self._step = step
        self._twins = twins

    @property
    def image(self) -> Features:
        """Of the images: of their second view, unless the recipe says otherwise."""
        return self._step.features(_TWIN + _view(0))

    @property
    def text(self) -> Features:
        """Of the texts."""
        return self._step.features(_TWIN + TEXT)

    @property
    def masked_text(self) -> Features:
        """Of the texts with hidden tokens."""
        return self._step.features(_TWIN + MASKED_TEXT)

    def fuse(self, text: Features, image: Features) -> Encoded:
        """Texts and images read together by the twin of the fusion encoder."""
        return self._twins.fuse(text, image)


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of both modalities."""

    image: FeatureQueue
    text: FeatureQueue


def _view(index: int | str) -> str:
    return f"image.{index}"
