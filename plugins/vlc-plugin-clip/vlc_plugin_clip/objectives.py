"""CLIP's objective."""

from __future__ import annotations

from typing import final

from vlc_core.interfaces.objective import Objective, Term
from vlc_core.step import Step
from vlc_plugin_clip.functional import clip_sum


@final
class Clip(Objective):
    """Matches each image with its own text among the texts of all ranks, and each text with its own image.

    Radford et al. 2021, arXiv 2103.00020.
    """

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over this rank's pairs, as the term ``clip``."""
        return {"clip": Term(clip_sum(step.image.embed, step.text.embed, step.scale, gather=True), len(step))}
