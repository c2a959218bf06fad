"""Supervised contrast of images with images."""

from __future__ import annotations

from typing import Annotated, ClassVar, final

from pydantic import Field

from vlc_core.interfaces.objective import Measure, ModelInfo, Needs, Objective, Term
from vlc_core.step import Step
from vlc_plugin_unicl.functional import positives, supcon_sum


@final
class SupCon(Objective):
    """Draws together two views of each image and all images of its class, away from all others of all ranks.

    A sample without a label has its other view for its only positive. Texts take no part.
    Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, arXiv 2004.11362, the form with the sum outside.
    """

    needs: ClassVar[Needs] = Needs(views=2, labels=True, positives=True)

    def __init__(self, model: ModelInfo, *, temperature: Annotated[float, Field(gt=0)] | None = None) -> None:
        """Takes the options.

        Args:
            temperature: What similarities are divided by; the model's own, which is learned, if not given.
        """
        super().__init__(model)
        self.temperature = temperature

    def forward(self, step: Step) -> dict[str, Term | Measure]:
        """The loss summed over this rank's anchors, two a sample, as ``supcon``, and how many share a label."""
        scale = step.scale if self.temperature is None else 1 / self.temperature
        total = supcon_sum(step.view(0).embed, step.view(1).embed, step.labels, scale, gather=True)
        return {"supcon": Term(total, 2 * len(step)), "positives": positives(step.labels, gather=True)}
