"""Intra-modal contrast."""

from __future__ import annotations

from typing import final

from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.step import Step
from vlc_plugin_tcl.objectives.keys import BatchKeys, FalseNegatives, losses


@final
class IntraModalContrast(Objective):
    """Each image finds its other view, each text its other draw of dropout, among momentum features and the queue.

    The mean of both modalities, which its two terms add up to. Yang et al. 2022, arXiv 2202.10401, section 3.3.
    """

    needs = Needs(momentum=True, queue=True, text_draws=True)

    def __init__(self, model: ModelInfo, *, false_negatives: FalseNegatives = "exclude") -> None:
        """Sets its options.

        Args:
            model: Of the run.
            false_negatives: Whether other pictures and captions of an anchor's own image are left out (``exclude``),
                or count as negatives as published (``keep``).
        """
        super().__init__(model)
        self.false_negatives = false_negatives

    def forward(self, step: Step) -> dict[str, Term]:
        """The terms ``i2i`` and ``t2t``, each half of its modality's loss."""
        keys = BatchKeys.of(step, self.false_negatives)
        image_to_image_B = losses(step, step.image.embed, keys.image, step.queue.image, keys)
        text_to_text_B = losses(step, step.text.embed, keys.text, step.queue.text, keys)
        return {
            "i2i": Term(image_to_image_B.sum() / 2, len(step)),
            "t2t": Term(text_to_text_B.sum() / 2, len(step)),
        }
