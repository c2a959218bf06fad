"""Classification by a linear layer: the objective that UniCL is compared with, and half of multi-task training.

Shapes: B samples of this rank, C classes, W width of the features.
"""

from __future__ import annotations

from typing import ClassVar, Literal, final

from torch import nn
from torch.nn.functional import cross_entropy

from vlc_core.batch import UNLABELLED
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.products import Linear
from vlc_core.step import Step


@final
class Classify(Objective):
    """Cross entropy of a linear layer over the image's features, with an output for each class of the training data.

    Samples without a label contribute nothing, and are not counted. The layer runs on every batch, also on one without
    any label, so that no rank waits for another.
    """

    needs: ClassVar[Needs] = Needs(labels=True, scope="micro")

    def __init__(self, model: ModelInfo, *, features: Literal["summary", "embed"] = "summary") -> None:
        """Makes the layer.

        Args:
            features: What it reads: the encoder's summary, or the unit-length embedding in the shared space.
        """
        super().__init__(model)
        self.features = features
        width = model.image_width if features == "summary" else model.embed_dim
        self.layer = Linear(width, len(model.classes))
        nn.init.normal_(self.layer.weight, std=0.01)
        nn.init.zeros_(self.layer.bias)

    def forward(self, step: Step) -> dict[str, Term]:
        """The cross entropy summed over this rank's labelled samples, as the term ``classify``."""
        features_BW = step.image.summary if self.features == "summary" else step.image.embed
        logits_BC = self.layer(features_BW).float()
        total = cross_entropy(logits_BC, step.labels, ignore_index=UNLABELLED, reduction="sum")
        return {"classify": Term(total, (step.labels != UNLABELLED).sum())}
