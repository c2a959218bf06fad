"""Masked words.

Shapes: B samples, L tokens, M masked places, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, final

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.masking import IGNORED
from vlc_core.momentum import MomentumTwin
from vlc_core.places import places
from vlc_core.products import Linear, rounded
from vlc_core.step import Step
from vlc_plugin_tcl.functional import word_losses
from vlc_plugin_tcl.objectives.distillation import ramped


@final
class MaskedLanguageModelling(Objective):
    """Hidden words are told from the words around them and the image.

    Vocabulary logits are computed at masked places alone. Yang et al. 2022, arXiv 2202.10401, section 3.5; masking is
    BERT's (1810.04805).
    """

    def __init__(
        self,
        model: ModelInfo,
        *,
        probability: Annotated[float, Field(gt=0, lt=1)] = 0.15,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.4,
        ramp: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        """Builds the head.

        Args:
            model: Of the run.
            probability: Of a word to be hidden.
            alpha: How much of the target is what the momentum twin says of the same places.
            ramp: Epochs over which alpha grows from zero.
        """
        super().__init__(model)
        assert model.fusion_width is not None  # its needs say so
        self.probability, self.alpha, self.ramp = probability, alpha, ramp
        self.head = WordHead(model.fusion_width, model.vocabulary.size)
        self.twin = MomentumTwin(self.head, model.momentum) if alpha > 0 else None

    @classmethod
    def requires(cls, options: Mapping[str, Any]) -> Needs:
        """Masked texts and fusion; the twins unless alpha is 0."""
        momentum = options.get("alpha", 0.4) > 0
        return Needs(fusion=True, momentum=momentum, masking=options.get("probability", 0.15), scope="micro")

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over masked places, as the term ``mlm``."""
        labels_BL = step.masked.labels
        hidden_M = places(labels_BL != IGNORED, share=self.probability)
        # Their number changes from step to step; the first place of the batch fills them up and counts for nothing.
        count = len(hidden_M)
        where_M = F.pad(hidden_M, (0, rounded(count) - count))
        labels_M = F.pad(labels_BL.flatten()[hidden_M], (0, rounded(count) - count), value=IGNORED)
        logits_MV = self.head(_at(step.fuse(step.masked_text, step.image), where_M))
        soft_MV, alpha = None, ramped(self.alpha, step.epoch, self.ramp)
        if self.twin is not None:
            twin = step.momentum
            soft_MV = self.twin(_at(twin.fuse(twin.masked_text, twin.image), where_M))
        return {"mlm": Term(word_losses(logits_MV, labels_M, soft_MV, alpha).sum(), count)}


class WordHead(nn.Module):
    """BERT's: a layer with activation and norm, then the vocabulary."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.layer = Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.words = Linear(width, vocabulary)
        nn.init.normal_(self.layer.weight, std=0.02)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.zeros_(self.layer.bias)
        nn.init.zeros_(self.words.bias)

    def forward(self, x_MW: Tensor) -> Tensor:
        """Logits (M, V)."""
        logits: Tensor = self.words(self.norm(F.gelu(self.layer(x_MW))))
        return logits


def _at(fused: Encoded, where_M: Tensor) -> Tensor:
    """The tokens at some places of the flattened texts, (M, W)."""
    assert fused.tokens is not None
    return fused.tokens.flatten(0, 1).index_select(0, where_M)
