"""What an objective sees of a training step.

Shapes: B samples of this rank, D embedding width.
"""

from __future__ import annotations

from torch import Tensor

from vlc_core.batch import Batch
from vlc_core.interfaces.objective import Needs
from vlc_core.model.towers import Features, Towers


class Step:
    """The features of one batch on this rank, each computed when first asked for and shared by every objective.

    Attributes:
        labels: (B,) int64, -1 where a sample has no label.
        groups: (B,) int64, equal for samples that show the same image.
        numbers: (B,) int64, the sample numbers, for anything random about a sample.
        seed: Of the run.
        progress: The share of the run that is done, 0…1.
    """

    def __init__(
        self,
        towers: Towers,
        batch: Batch,
        *,
        seed: int = 0,
        progress: float = 0.0,
        views: dict[int, Features] | None = None,
        text: Features | None = None,
        scale: Tensor | None = None,
    ) -> None:
        """Takes features that are already there by ``views``, ``text`` and ``scale``; the towers give the others."""
        self._towers = towers
        self._batch = batch
        self._views: dict[int, Features] = dict(views or {})
        self._text = text
        self._scale = scale
        self.labels = batch.labels
        self.groups = batch.groups
        self.numbers = batch.numbers
        self.seed = seed
        self.progress = progress

    def __len__(self) -> int:
        return len(self._batch)

    @property
    def image(self) -> Features:
        """Features of the first view of the images."""
        return self.view(0)

    def view(self, index: int) -> Features:
        """Features of view ``index`` of the images; the objective's ``Needs.views`` says how many there are."""
        if index not in self._views:
            self._views[index] = self._towers.image(self._batch.pixels[index])
        return self._views[index]

    @property
    def text(self) -> Features:
        """Features of the texts."""
        if self._text is None:
            self._text = self._towers.text(self._batch.tokens, self._batch.mask)
        return self._text

    @property
    def scale(self) -> Tensor:
        """The scale 1/τ of the logits, shape (1,)."""
        if self._scale is None:
            self._scale = self._towers.temperature()
        return self._scale

    def encode(self, needs: Needs) -> tuple[Features, ...]:
        """All that ``needs`` names, in a fixed order: every view, then the text.

        A replay draws the same dropout only if it computes in the same order.
        """
        return (*(self.view(index) for index in range(needs.views)), self.text)
