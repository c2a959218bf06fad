"""Local mutual information.

Shapes: B samples of this rank, G those compared with, P patches, L local features, D embedding width.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from vlc_core import distributed
from vlc_core.errors import RecipeError
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.model.towers import Features
from vlc_core.step import Step
from vlc_plugin_tcl.functional import local_logsumexp, local_losses


@final
class LocalMutualInformation(Objective):
    """Each summary finds the patches of its image, or the words of its text, among those of the other samples.

    The mean of both modalities, which its two terms add up to. Yang et al. 2022, arXiv 2202.10401, section 3.4.
    """

    needs = Needs(momentum=True, locals=True)

    def __init__(
        self,
        model: ModelInfo,
        *,
        pool: Annotated[int, Field(ge=0)] = 4,
        negatives: Literal["rank", "global"] = "rank",
    ) -> None:
        """Sets its options.

        Args:
            model: Of the run.
            pool: Patches are averaged to a grid of so many a side; 0 takes each patch by itself.
            negatives: Local features of other samples of this rank, as published, or of all ranks.
        """
        super().__init__(model)
        self.pool, self.negatives = pool, negatives

    def forward(self, step: Step) -> dict[str, Term]:
        """The terms ``image`` and ``text``, each half of its modality's loss."""
        image, text = step.momentum.image, step.momentum.text
        patches_BLD = pooled(_local(image, "image"), self.pool)
        real_BL = torch.ones(patches_BLD.shape[:2], dtype=torch.bool, device=patches_BLD.device)
        words_BLD = _local(text, "text")
        mask_BL = real_BL.new_ones(words_BLD.shape[:2]) if text.local_mask is None else text.local_mask
        image_B = self._losses(step, step.image.embed, patches_BLD, real_BL)
        text_B = self._losses(step, step.text.embed, words_BLD, mask_BL)
        return {"image": Term(image_B.sum() / 2, len(step)), "text": Term(text_B.sum() / 2, len(step))}

    def _losses(self, step: Step, summary_BD: Tensor, local_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        local_BLD = local_BLD.detach()
        own = groups = torch.arange(len(step), device=summary_BD.device)
        every_GLD, every_GL = local_BLD, mask_BL
        if self.negatives == "global" and distributed.world() > 1:
            counts = distributed.row_counts(local_BLD)
            longest = int(distributed.all_max(torch.tensor([local_BLD.shape[1]], device=own.device)))
            missing = longest - local_BLD.shape[1]
            every_GLD = distributed.gather(F.pad(local_BLD, (0, 0, 0, missing)), counts=counts)
            every_GL = distributed.gather(F.pad(mask_BL, (0, missing)), counts=counts)
            groups = torch.arange(sum(counts), device=own.device)
            own = own + distributed.first_row(counts)
        negatives_B = local_logsumexp(summary_BD, every_GLD, every_GL, step.scale, own=own, groups=groups)
        return local_losses(summary_BD, local_BLD, mask_BL, negatives_B, step.scale)


def pooled(local_BPD: Tensor, side: int) -> Tensor:
    """Averages a square grid of patches to ``side`` × ``side`` regions, which are not normalised again.

    Raises:
        RecipeError: The patches are no square grid, or a smaller one.
    """
    if side == 0:
        return local_BPD
    number, patches, dim = local_BPD.shape
    grid = math.isqrt(patches)
    if grid * grid != patches or grid < side:
        raise RecipeError(
            f"lmi averages patches to {side} × {side} regions, and the image encoder gives {patches} patches: choose "
            f"a smaller pool, 0 for none, or an encoder with a square grid"
        )
    map_BDHW = local_BPD.transpose(1, 2).reshape(number, dim, grid, grid)
    return F.adaptive_avg_pool2d(map_BDHW, side).flatten(2).transpose(1, 2)


def _local(features: Features, side: str) -> Tensor:
    if features.local is None:
        raise RecipeError(f"lmi compares local features, and the {side} encoder gives no tokens: choose one that does")
    return features.local
