"""Cross-modal alignment."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field

from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.step import Step
from vlc_plugin_tcl.objectives.distillation import ramped
from vlc_plugin_tcl.objectives.keys import BatchKeys, FalseNegatives, losses


@final
class CrossModalAlignment(Objective):
    """Each image finds its text, each text its image, among momentum features of the batch and the queue.

    The mean of both directions, which its two terms add up to. Yang et al. 2022, arXiv 2202.10401, section 3.2; the
    softened target is ALBEF's (2107.07651, section 3.3).
    """

    needs = Needs(momentum=True, queue=True)

    def __init__(
        self,
        model: ModelInfo,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.4,
        ramp: Annotated[float, Field(ge=0)] = 1.0,
        false_negatives: FalseNegatives = "exclude",
    ) -> None:
        """Sets its options.

        Args:
            model: Of the run.
            alpha: How much of the target is what the momentum twin attends to.
            ramp: Epochs over which alpha grows from zero.
            false_negatives: Whether other pictures and captions of an anchor's own image are left out (``exclude``),
                or count as negatives as published (``keep``).
        """
        super().__init__(model)
        self.alpha, self.ramp, self.false_negatives = alpha, ramp, false_negatives

    def forward(self, step: Step) -> dict[str, Term]:
        """The terms ``i2t`` and ``t2i``, each half of its direction's loss."""
        keys, twin = BatchKeys.of(step, self.false_negatives), step.momentum
        alpha = ramped(self.alpha, step.epoch, self.ramp)
        image_to_text_B = losses(
            step, step.image.embed, keys.text, step.queue.text, keys, momentum=twin.image.embed, alpha=alpha
        )
        text_to_image_B = losses(
            step, step.text.embed, keys.image, step.queue.image, keys, momentum=twin.text.embed, alpha=alpha
        )
        return {
            "i2t": Term(image_to_text_B.sum() / 2, len(step)),
            "t2i": Term(text_to_image_B.sum() / 2, len(step)),
        }
