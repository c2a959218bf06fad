"""ALIGN's objective."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from pydantic import Field
from torch import Tensor

from vlc_core.distributed import all_max
from vlc_core.interfaces.objective import ModelInfo, Objective, Term
from vlc_core.places import has_values
from vlc_core.step import Step
from vlc_plugin_align.functional import normalized_softmax_sum


@final
class Align(Objective):
    """Matches each image with its own text among the texts of all ranks, and each text with its own image.

    The target is smoothed, which forgives texts that belong to several images. Jia et al., Scaling Up Visual and
    Vision-Language Representation Learning With Noisy Text Supervision, ICML 2021, arXiv 2102.05918; the two directions
    are averaged, where the paper adds them.
    """

    def __init__(
        self,
        model: ModelInfo,
        *,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        negatives: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ) -> None:
        """Takes the options.

        Args:
            label_smoothing: The share of the target that is spread evenly over all keys, the own one included.
            negatives: The share of the batch that serves as negatives: one random subset a step, the same for every
                anchor and on all ranks. An anchor's own key always takes part.
        """
        super().__init__(model)
        self.label_smoothing = label_smoothing
        self.negatives = negatives

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over this rank's pairs, as the term ``align``."""
        total = normalized_softmax_sum(
            step.image.embed,
            step.text.embed,
            step.scale,
            label_smoothing=self.label_smoothing,
            negatives=self.negatives,
            seed=0 if self.negatives == 1.0 else subset_seed(step.seed, step.numbers),
            gather=True,
        )
        return {"align": Term(total, len(step))}


def subset_seed(seed: int, numbers: Tensor) -> int:
    """A seed for this step: of the run's seed and the first sample number of the batch of all ranks.

    So it is the same on any number of ranks and in micro-batches, and another one in the next step.

    Args:
        seed: Of the run.
        numbers: (B,) int64, this rank's sample numbers. One small collective; none where a run is only planned.
    """
    if not has_values(numbers):
        return seed
    first = -int(all_max(-numbers.min()))
    return int(np.random.SeedSequence([seed, first]).generate_state(1, np.uint64)[0] >> np.uint64(1))
