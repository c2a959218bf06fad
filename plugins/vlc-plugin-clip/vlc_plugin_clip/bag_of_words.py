"""Prediction of a caption's words from its image: what CLIP's authors tried before contrast.

Shapes: B samples of this rank, V words, D embedding width, L tokens.
"""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.step import Step


@final
class BagOfWords(Objective):
    """Predicts which words are in the caption, out of the whole vocabulary, by a softmax that they share evenly.

    The weight vector of a word is the text tower's embedding of the word as a text, and its logit is
    scale · image · word + prior, with a learned prior for how common the word is. So the text tower is the classifier,
    and zero-shot classification works as it always does: with the text encoder `linear-text` and the tokenizer `word`,
    the embedding of several words points where the sum of their vectors does, hence classes are ranked by the summed
    logits of their names' words, over the length of that sum; the prior is left out. With class names alone as prompts
    ("{}") nothing but these words counts.

    The bag-of-words baseline of Radford et al. 2021, arXiv 2103.00020, figure 2; the loss is that of Joulin et al.
    2016, arXiv 1511.02251, equation 1. Each step, and each micro-batch of one, encodes the whole vocabulary: that is
    cheap for `linear-text` and dear for a Transformer.
    """

    needs: ClassVar[Needs] = Needs(scope="micro")

    word_ids: Tensor

    def __init__(self, model: ModelInfo) -> None:
        """Lists the words, (V,)."""
        super().__init__(model)
        self.register_buffer("word_ids", torch.tensor(words(model.vocabulary)), persistent=False)
        self.prior_V = nn.Parameter(torch.zeros(len(self.word_ids)))

    def forward(self, step: Step) -> dict[str, Term]:
        """The loss summed over this rank's captions with a known word, as the term ``bag-of-words``."""
        vocabulary = self.model.vocabulary
        texts_VL = as_texts(self.word_ids, vocabulary)
        word_VD = step.encode_text(texts_VL, torch.ones_like(texts_VL, dtype=torch.bool)).embed
        logits_BV = step.scale * (step.image.embed @ word_VD.T) + self.prior_V
        present_BV = present(*step.tokens, vocabulary.size)[:, self.word_ids]
        losses_B = word_losses(logits_BV, present_BV)
        return {"bag-of-words": Term(losses_B.sum(), present_BV.any(dim=1).sum())}


def word_losses(logits_BV: Tensor, present_BV: Tensor) -> Tensor:
    """Cross entropy with a target that a caption's words share evenly, (B,); zero for a caption without words."""
    shares_BV = present_BV / present_BV.sum(dim=1, keepdim=True).clamp(min=1)
    return -(shares_BV * log_softmax(logits_BV, dim=1)).sum(dim=1)


def words(vocabulary: Vocabulary) -> list[int]:
    """All ids that are not special ones."""
    special = set(vocabulary[1:])
    return [number for number in range(vocabulary.size) if number not in special]


def as_texts(words_V: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Each word as a text of its own, (V, 1 to 3), between the start and the end token where there are such."""
    before, after = (
        [] if number is None else [torch.full_like(words_V, number)] for number in (vocabulary.start, vocabulary.end)
    )
    return torch.stack([*before, words_V, *after], dim=1)


def present(tokens_BL: Tensor, mask_BL: Tensor, size: int) -> Tensor:
    """Which of ``size`` ids each text holds, (B, size) bool."""
    found_BN = torch.zeros(len(tokens_BL), size, dtype=torch.int64, device=tokens_BL.device)
    return found_BN.scatter_add_(1, tokens_BL, mask_BL.long()) > 0
