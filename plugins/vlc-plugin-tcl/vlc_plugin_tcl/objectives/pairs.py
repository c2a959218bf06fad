"""Classification of pairs that the fusion encoder has read: statements, entailment, questions.

Shapes: B samples of this rank, C classes, A answers, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core.batch import UNLABELLED
from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.model.judging import side_by_side
from vlc_core.products import Linear
from vlc_core.step import Step


@final
class PairClasses(Objective):
    """Tells the classes of the training data apart by reading text and image together.

    With labels ``false`` and ``true`` these are statements, with three labels entailment, with a list of answers
    questions. Samples whose dataset gives several answers with scores are learned with these as soft targets; samples
    with neither label nor answers contribute nothing. With two images the statement is read with each, and the head
    sees both readings. Li et al. 2021 (ALBEF), arXiv 2107.07651, section 5.
    """

    needs: ClassVar[Needs] = Needs(fusion=True, labels=True, scope="micro")

    @classmethod
    def requires(cls, options: Mapping[str, Any]) -> Needs:
        """Two views where a sample has two images."""
        return Needs(fusion=True, labels=True, scope="micro", views=2 if options.get("images") == 2 else 1)

    def __init__(
        self, model: ModelInfo, *, images: Literal[1, 2] = 1, loss: Literal["softmax", "sigmoid"] = "softmax"
    ) -> None:
        """Builds the head, two layers.

        Args:
            model: Of the run.
            images: How many images of a sample are read beside its text.
            loss: ``softmax``: cross entropy with the scores of a sample's answers divided by their sum; ``sigmoid``:
                binary cross entropy with the score of each class, which is usual for questions with many answers.
        """
        super().__init__(model)
        assert model.fusion_width is not None  # its needs say so
        self.images, self.loss = images, loss
        width = images * model.fusion_width
        self.hidden, self.head = Linear(width, model.fusion_width), Linear(model.fusion_width, len(model.classes))
        for layer in (self.hidden, self.head):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over samples with a target, as the term ``pairs``."""
        fused = step.fuse(step.text, step.image)
        if self.images == 2:
            fused = side_by_side(fused, step.fuse(step.text, step.view(1)))
        logits_BC = self.judge(fused)
        logits_BC = logits_BC.to(torch.promote_types(logits_BC.dtype, torch.float32))
        target_BC = targets(step.labels, step.answers, logits_BC.shape[1]).to(logits_BC.dtype)
        counted_B = target_BC.sum(dim=1) > 0
        return {"pairs": Term((self._losses(logits_BC, target_BC) * counted_B).sum(), counted_B.sum())}

    def judge(self, fused: Encoded) -> Tensor:
        """Logits (N, C) of the training data's classes."""
        logits: Tensor = self.head(F.gelu(self.hidden(fused.summary)))
        return logits

    def _losses(self, logits_BC: Tensor, target_BC: Tensor) -> Tensor:
        if self.loss == "sigmoid":
            return F.binary_cross_entropy_with_logits(logits_BC, target_BC, reduction="none").sum(dim=1)
        share_BC = target_BC / target_BC.sum(dim=1, keepdim=True).clamp(min=torch.finfo(target_BC.dtype).tiny)
        return -(share_BC * logits_BC.log_softmax(dim=1)).sum(dim=1)


def targets(labels_B: Tensor, answers: tuple[Tensor, Tensor] | None, classes: int) -> Tensor:
    """How right each class is, (B, C) float32 in 0…1: the scores of a sample's answers, or 1 for its label.

    Rows of samples with neither are zero. An answer that is given twice counts with its higher score.
    """
    target_BC = torch.zeros(len(labels_B), classes, device=labels_B.device)
    has_answers_B = torch.zeros_like(labels_B, dtype=torch.bool)
    if answers is not None:
        answer_BA, score_BA = answers
        has_answers_B = (answer_BA != UNLABELLED).any(dim=1)
        score_BA = score_BA * (answer_BA != UNLABELLED)
        target_BC.scatter_reduce_(1, answer_BA.clamp(min=0), score_BA.to(target_BC.dtype), "amax")
    label_B = (labels_B != UNLABELLED) & ~has_answers_B
    rows = torch.arange(len(labels_B), device=labels_B.device)
    target_BC[rows, labels_B.clamp(min=0)] += label_B.to(target_BC.dtype)
    return target_BC
