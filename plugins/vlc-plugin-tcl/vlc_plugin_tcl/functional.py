"""TCL's losses as functions (Yang et al. 2022, arXiv 2202.10401; what it takes over from ALBEF, 2107.07651).

All rows are of unit length unless said. Momentum features, queues and alpha give no gradient.

Shapes: B samples, D embedding width, K queued features, L local features or tokens, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.contrast import Queue, key_losses, streaming_logsumexp
from vlc_core.masking import IGNORED
from vlc_core.places import has_values


def cma_loss(
    image: Tensor,
    text: Tensor,
    image_m: Tensor,
    text_m: Tensor,
    image_queue: Tensor,
    text_queue: Tensor,
    temperature: Tensor | float,
    alpha: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Cross-modal alignment: each image finds its text among the momentum texts, and the other way round.

    The target is (1 − alpha) · one-hot + alpha · what the momentum anchor attends to among the same keys.

    Args:
        image: (B, D).
        text: (B, D).
        image_m: (B, D) momentum features of the images.
        text_m: (B, D) momentum features of the texts.
        image_queue: (K, D), K may be 0.
        text_queue: (K, D).
        temperature: τ.
        alpha: The weight of the soft target, 0…1.

    Returns:
        Two scalars, means over the batch: image to text, text to image.
    """
    own, scale = _own(image), 1 / temperature
    image_to_text_B = key_losses(
        image, text_m.detach(), scale, own=own, momentum=image_m.detach(), alpha=alpha, queue=Queue(text_queue.detach())
    )
    text_to_image_B = key_losses(
        text, image_m.detach(), scale, own=own, momentum=text_m.detach(), alpha=alpha, queue=Queue(image_queue.detach())
    )
    return image_to_text_B.mean(), text_to_image_B.mean()


def imc_loss(
    image: Tensor,
    text: Tensor,
    image_m: Tensor,
    text_m: Tensor,
    image_queue: Tensor,
    text_queue: Tensor,
    temperature: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Intra-modal contrast: each image finds its other view, each text its other draw of dropout.

    Args:
        image: (B, D).
        text: (B, D).
        image_m: (B, D) momentum features of another view of the images.
        text_m: (B, D) momentum features of the texts.
        image_queue: (K, D), K may be 0.
        text_queue: (K, D).
        temperature: τ.

    Returns:
        Two scalars, means over the batch: image to image, text to text.
    """
    own, scale = _own(image), 1 / temperature
    image_to_image_B = key_losses(image, image_m.detach(), scale, own=own, queue=Queue(image_queue.detach()))
    text_to_text_B = key_losses(text, text_m.detach(), scale, own=own, queue=Queue(text_queue.detach()))
    return image_to_image_B.mean(), text_to_text_B.mean()


def lmi_loss(summary: Tensor, local: Tensor, mask: Tensor, temperature: Tensor | float) -> Tensor:
    """Local mutual information: a sample's summary against its own local features, each by itself.

    Mean over a sample's local features l of −log( exp(s·z·l) / (exp(s·z·l) + Σ exp(s·z·l') ) ), l' over the real local
    features of all other samples, then the mean over samples; one without a real local feature counts as zero.

    Args:
        summary: (B, D).
        local: (B, L, D), of any length (the mean over a region is not normalised again).
        mask: (B, L) bool, true at real ones.
        temperature: τ.

    Returns:
        A scalar.
    """
    others = torch.arange(len(summary), device=summary.device)
    negatives_B = local_logsumexp(summary, local, mask, 1 / temperature, own=others, groups=others)
    return local_losses(summary, local, mask, negatives_B, 1 / temperature).mean()


def local_logsumexp(
    summary_BD: Tensor, local_GLD: Tensor, mask_GL: Tensor, scale: Tensor | float, *, own: Tensor, groups: Tensor
) -> Tensor:
    """log Σ exp over the real local features of other groups, (B,): once for each anchor, not for each positive.

    Args:
        summary_BD: Anchors.
        local_GLD: Local features of G samples, those of all ranks perhaps.
        mask_GL: True at real ones.
        scale: 1/τ.
        own: (B,) int64, the anchors' groups.
        groups: (G,) int64, the samples' groups.
    """
    where_M = mask_GL.flatten().nonzero().squeeze(1)
    local_MD = local_GLD.flatten(0, 1)
    if not has_values(mask_GL) or len(where_M) < len(local_MD):  # all patches are real: no copy of them then
        local_MD = local_MD.index_select(0, where_M)
    return streaming_logsumexp(summary_BD, local_MD, scale, exclude=(own, groups[where_M // mask_GL.shape[1]]))


def local_losses(
    summary_BD: Tensor, local_BLD: Tensor, mask_BL: Tensor, negatives_B: Tensor, scale: Tensor | float
) -> Tensor:
    """The mean over each sample's own real local features, (B,); zero for a sample without any."""
    positive_BL = torch.einsum("bd,bld->bl", summary_BD, local_BLD.to(summary_BD.dtype)) * scale
    losses_BL = F.softplus(negatives_B[:, None] - positive_BL, threshold=40.0)
    return (losses_BL * mask_BL).sum(dim=1) / mask_BL.sum(dim=1).clamp(min=1)


def itm_negative_weights(sim: Tensor) -> Tensor:
    """With what weights another sample is drawn as an anchor's hard negative.

    Args:
        sim: (B, B) logits, similarities over temperature, anchors along the first dimension.

    Returns:
        (B, B): softmax over each row, zero on the diagonal.
    """
    return torch.softmax(sim.detach(), dim=1).fill_diagonal_(0)


def mlm_loss(
    logits: Tensor, labels: Tensor, momentum_logits: Tensor | None = None, alpha: Tensor | float = 0.0
) -> Tensor:
    """Masked words: (1 − alpha) · cross entropy − alpha · Σ softmax(momentum) · log softmax(logits).

    Args:
        logits: (B, L, V).
        labels: (B, L) int64, -100 where nothing was masked.
        momentum_logits: (B, L, V), the twin's for the same masked texts; None for hard targets alone.
        alpha: The weight of the twin's word, 0…1.

    Returns:
        A scalar, the mean over masked places; zero where there are none.
    """
    hidden_BL = labels != IGNORED
    soft = None if momentum_logits is None else momentum_logits[hidden_BL]
    losses_M = word_losses(logits[hidden_BL], labels[hidden_BL], soft, alpha)
    return losses_M.sum() / max(1, len(losses_M))


def word_losses(
    logits_MV: Tensor, labels_M: Tensor, momentum_MV: Tensor | None = None, alpha: Tensor | float = 0.0
) -> Tensor:
    """The losses of :func:`mlm_loss` at M places, (M,); zero where the label is -100."""
    hard_M = F.cross_entropy(logits_MV, labels_M, reduction="none", ignore_index=IGNORED)
    if momentum_MV is None:
        return hard_M
    soft_M = -(momentum_MV.detach().softmax(dim=1) * logits_MV.log_softmax(dim=1)).sum(dim=1)
    return (1 - alpha) * hard_M + alpha * soft_M * (labels_M != IGNORED)


def _own(anchors: Tensor) -> Tensor:
    return torch.arange(len(anchors), device=anchors.device)
