"""Image-text matching.

Shapes: B samples of this rank, G of all that negatives are drawn from, L text tokens, P image tokens, W width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vlc_core import distributed
from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.masking import uniform
from vlc_core.model.towers import Features, picked
from vlc_core.products import Linear
from vlc_core.step import Step

MATCH = 1
"""The class of a pair that belongs together."""


@final
class ImageTextMatching(Objective):
    """Tells pairs that belong together from hard negatives: one text for each image, one image for each text.

    Negatives are drawn with probability softmax(similarity / τ); the own pair, other samples of the same image and of
    the same label are excluded. Li et al. 2021 (ALBEF), arXiv 2107.07651, section 3.2.
    """

    needs = Needs(fusion=True)

    def __init__(self, model: ModelInfo, *, negatives: Literal["rank", "global"] = "rank") -> None:
        """Builds the head.

        Args:
            model: Of the run.
            negatives: From the samples of this rank, as published, or of all ranks.
        """
        super().__init__(model)
        assert model.fusion_width is not None  # its needs say so
        self.negatives = negatives
        self.head = Linear(model.fusion_width, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over pairs, as the term ``itm``: a batch without any negative trains on its own pairs."""
        pool = Pool.of(step, everywhere=self.negatives == "global")
        text_B, text_found_B = pool.drawn(step, step.image.embed, pool.text.embed, side=0)
        image_B, image_found_B = pool.drawn(step, step.text.embed, pool.image.embed, side=1)
        texts = torch.cat([pool.own, text_B, pool.own])
        images = torch.cat([pool.own, pool.own, image_B])
        logits = self._logits(step, pool.text, pool.image, texts, images)
        counted = torch.cat([torch.ones_like(text_found_B), text_found_B, image_found_B])
        labels = torch.zeros_like(texts)
        labels[: len(step)] = MATCH
        losses = F.cross_entropy(logits, labels, reduction="none")
        return {"itm": Term((losses * counted).sum(), counted.sum())}

    def judge(self, fused: Encoded) -> Tensor:
        """Logits (N, 2) of fused pairs; column ``MATCH`` speaks for a pair that belongs together."""
        logits: Tensor = self.head(fused.summary)
        return logits

    def _logits(self, step: Step, text: Features, image: Features, texts: Tensor, images: Tensor) -> Tensor:
        """(N, 2) of pairs given by row numbers; in chunks that the backward pass computes again if the step says so."""

        def fused(rows_text: Tensor, rows_image: Tensor) -> Tensor:
            return self.judge(step.fuse(picked(text, rows_text), picked(image, rows_image)))

        if step.chunk is None or step.chunk >= len(texts):
            return fused(texts, images)
        parts = zip(texts.split(step.chunk), images.split(step.chunk), strict=True)
        if not torch.is_grad_enabled():
            return torch.cat([fused(*part) for part in parts])
        return torch.cat([checkpoint(fused, *part, use_reentrant=False) for part in parts])


class Pool(NamedTuple):
    """What negatives are drawn from.

    Attributes:
        image: Features of the images, G rows.
        text: Features of the texts, G rows.
        labels: (G,) int64.
        groups: (G,) int64.
        numbers: (G,) int64.
        own: (B,) int64, where this rank's samples are.
    """

    image: Features
    text: Features
    labels: Tensor
    groups: Tensor
    numbers: Tensor
    own: Tensor

    @classmethod
    def of(cls, step: Step, *, everywhere: bool) -> Pool:
        """This rank's samples, or those of all ranks with their gradients sent home."""
        own = torch.arange(len(step), device=step.labels.device)
        if not everywhere or distributed.world() == 1:
            return cls(step.image, step.text, step.labels, step.groups, step.numbers, own)
        counts = distributed.row_counts(step.labels)
        image, text = _gathered(step.image, counts), _gathered(_padded(step.text), counts)
        labels, groups, numbers = (
            distributed.gather(x, counts=counts) for x in (step.labels, step.groups, step.numbers)
        )
        return cls(image, text, labels, groups, numbers, own + distributed.first_row(counts))

    @torch.no_grad()
    def drawn(self, step: Step, anchors_BD: Tensor, others_GD: Tensor, *, side: int) -> tuple[Tensor, Tensor]:
        """For each anchor the number of a hard negative, (B,), and whether there was one to draw.

        By the largest logit plus Gumbel noise, which draws with softmax's probabilities however small they are. The
        noise is a function of seed, both sample numbers and ``side``, so that any number of ranks draws the same.
        """
        logits_BG = anchors_BD.detach().float() @ others_GD.detach().float().T * step.scale.detach()
        noise_BG = uniform(step.seed, step.numbers[:, None], self.numbers[None, :], side).clamp(min=1e-300)
        gumbel_BG = -(-noise_BG.log()).log()
        keys_BG = logits_BG.double() + gumbel_BG
        keys_BG = keys_BG.masked_fill(~self.allowed(step), -torch.inf)
        best = keys_BG.max(dim=1)
        return best.indices, best.values > -torch.inf

    def allowed(self, step: Step) -> Tensor:
        """(B, G) bool: which samples may be whose negatives."""
        same_group = step.groups[:, None] == self.groups[None, :]
        same_label = (step.labels[:, None] == self.labels[None, :]) & (step.labels[:, None] >= 0)
        itself = self.own[:, None] == torch.arange(len(self.labels), device=self.own.device)[None, :]
        return ~(same_group | same_label | itself)


def _padded(features: Features) -> Features:
    """Tokens padded to the longest text of all ranks."""
    assert features.tokens is not None
    tokens = features.tokens
    longest = int(distributed.all_max(torch.tensor([tokens.shape[1]], device=tokens.device)))
    missing = longest - tokens.shape[1]
    mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if features.mask is None else features.mask
    return features._replace(tokens=F.pad(tokens, (0, 0, 0, missing)), mask=F.pad(mask, (0, missing)))


def _gathered(features: Features, counts: list[int]) -> Features:
    return Features(*(None if x is None else distributed.gather(x, counts=counts) for x in features))  # type: ignore[arg-type]
