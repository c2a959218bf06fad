"""UniCL's objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, final

from pydantic import Field

from vlc_core.errors import RecipeError
from vlc_core.interfaces.objective import Measure, ModelInfo, Needs, Objective, Term
from vlc_core.step import Step
from vlc_plugin_unicl.functional import BOTH, Direction, bic_sum, positives


@final
class Bic(Objective):
    """Matches each image with all texts of its class among those of all ranks, and each text with all images.

    A sample without a label is a class of its own, so image-label and image-text data mix freely; on pairs alone it is
    `clip`. Yang et al., Unified Contrastive Learning in Image-Text-Label Space, CVPR 2022, arXiv 2204.03610; the two
    directions are averaged, where the paper adds them.
    """

    def __init__(
        self,
        model: ModelInfo,
        *,
        directions: Annotated[list[Direction], Field(min_length=1)] = list(BOTH),  # noqa: B006
        samples: Literal["all", "unlabelled"] = "all",
    ) -> None:
        """Takes the options.

        Args:
            directions: i2t: for each image, softmax over the texts; t2i: for each text, over the images. The mean of
                those that are named.
            samples: Which samples take part: all, or only those without a label, as in multi-task training, where
                labels are a classifier's matter.
        """
        super().__init__(model)
        if len(set(directions)) < len(directions):
            raise RecipeError(f"directions names {directions[0]} twice: name each of i2t and t2i once")
        self.directions = tuple(directions)
        self.unlabelled = samples == "unlabelled"

    @classmethod
    def requires(cls, options: Mapping[str, Any]) -> Needs:
        """Of pairs alone, some; without any, nothing would be contrasted, and the text encoder would learn nothing."""
        pairs_alone = options.get("samples") == "unlabelled"
        return Needs(pairs=pairs_alone, positives=not pairs_alone)

    def forward(self, step: Step) -> dict[str, Term | Measure]:
        """The loss summed over this rank's samples, as ``bic``, and how many match a labelled one."""
        image, text, labels = step.image.embed, step.text.embed, step.labels
        if self.unlabelled:
            rows = labels < 0
            image, text, labels = image[rows], text[rows], labels[rows]
        total = bic_sum(image, text, labels, step.scale, directions=self.directions, gather=True)
        terms: dict[str, Term | Measure] = {"bic": Term(total, len(labels))}
        return terms if self.unlabelled else terms | {"positives": positives(labels, gather=True)}
