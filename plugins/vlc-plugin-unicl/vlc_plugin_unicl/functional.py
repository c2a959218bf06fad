"""The losses of this plugin as functions.

Shapes: B this rank's samples, G those of all ranks, D embedding width; two views make 2B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from vlc_core.contrast import batch_mean, label_sums, streaming_logsumexp
from vlc_core.contrast.targets import softplus_exact
from vlc_core.distributed import first_row, gather_rows, row_counts
from vlc_core.distributed import gather as gather_ranks
from vlc_core.interfaces.objective import Measure

Direction = Literal["i2t", "t2i"]
BOTH: tuple[Direction, Direction] = ("i2t", "t2i")


def bic_loss(image: Tensor, text: Tensor, labels: Tensor, logit_scale: Tensor, *, gather: bool = False) -> Tensor:
    """Bidirectional contrast (UniCL, arXiv 2204.03610, equations 3 to 5), the two directions averaged.

    With P(i) the samples that have the label of i, image → text is the mean over i of

        − 1/|P(i)| · Σ_{k ∈ P(i)} log softmaxⱼ(scale · imageᵢ · textⱼ)[k],

    and text → image is the same with the roles exchanged. The paper adds the two; averaged they equal CLIP's
    loss where all labels differ.

    Args:
        image: (B, D) image embeddings, rows of unit length.
        text: (B, D) text embeddings, rows of unit length; row i belongs to image i.
        labels: (B,) int64 classes. A negative one stands for no label: the sample is a class of its own.
        logit_scale: What similarities are multiplied with, already exponentiated; a scalar or of shape (1,).
        gather: Take the keys from all ranks. The mean of the results over ranks is then the loss of the whole
            batch, and gradients averaged over ranks are its gradients, ranks of different B included.

    Returns:
        A scalar.
    """
    total = bic_sum(image, text, labels, logit_scale, gather=gather)
    return batch_mean(total, image.shape[0], gather=gather)


def bic_sum(
    image: Tensor,
    text: Tensor,
    labels: Tensor,
    logit_scale: Tensor,
    *,
    directions: Sequence[Direction] = BOTH,
    gather: bool = False,
) -> Tensor:
    """As :func:`bic_loss`, but summed over this rank's B samples, with ``directions`` averaged.

    With one direction and several ranks, a rank's own sum is no meaningful number; their total is.
    """
    image_to_text, text_to_image = label_sums(image, text, labels, logit_scale, gather=gather)
    sums: dict[Direction, Tensor] = {"i2t": image_to_text, "t2i": text_to_image}
    return torch.stack([sums[direction] for direction in directions]).mean()


def positives(labels: Tensor, *, gather: bool = False) -> Measure:
    """How many samples have a labelled one's label, it included: the mean over this rank's.

    Args:
        labels: (B,) int64; a negative one stands for no label, and such a sample is not counted.
        gather: Look among the samples of all ranks.
    """
    counts = row_counts(labels) if gather else [labels.shape[0]]
    labels_G, start = (gather_rows(labels, counts), first_row(counts)) if gather else (labels, 0)
    _, class_G, size_C = labels_G.unique(return_inverse=True, return_counts=True)
    class_B, labelled_B = class_G[start : start + labels.shape[0]], labels >= 0
    return Measure((size_C[class_B] * labelled_B).sum(), labelled_B.sum())


def supcon_loss(
    first: Tensor, second: Tensor, labels: Tensor, logit_scale: Tensor | float, *, gather: bool = False
) -> Tensor:
    """Supervised contrast of images with images (Khosla et al., arXiv 2004.11362, equation 2, L_out).

    The 2B rows are the anchors. With A(i) all rows but i and P(i) those of them that have the label of i, it is the
    mean over anchors of

        − 1/|P(i)| · Σ_{p ∈ P(i)} log [ exp(scale · zᵢ · z_p) / Σ_{a ∈ A(i)} exp(scale · zᵢ · z_a) ].

    Args:
        first: (B, D) embeddings of one view of each image, rows of unit length.
        second: (B, D) embeddings of another view.
        labels: (B,) int64 classes; a sample with a negative one has its other view for its only positive.
        logit_scale: The inverse temperature.
        gather: Take the keys from all ranks, as in :func:`bic_loss`.

    Returns:
        A scalar.
    """
    total = supcon_sum(first, second, labels, logit_scale, gather=gather) / 2
    return batch_mean(total, first.shape[0], gather=gather)


def supcon_sum(
    first: Tensor, second: Tensor, labels: Tensor, logit_scale: Tensor | float, *, gather: bool = False
) -> Tensor:
    """As :func:`supcon_loss`, but summed over this rank's 2B anchors.

    With z' the other view of z, and m the mean of the positives of z, each anchor's loss is

        softplus(log Σ_{a ∉ {z, z'}} exp(s·z·a) − s·z·z') + s·z·(z' − m),

    which does not cancel where log Σ_a exp(s·z·a) − s·z·m does.
    """
    counts = row_counts(first) if gather else [first.shape[0]]
    start = first_row(counts) if gather else 0
    image_B = torch.arange(start, start + first.shape[0], device=first.device)
    labels_B = torch.where(labels < 0, -1 - image_B, labels)
    anchors_AD = torch.cat([first, second])
    images_A, labels_A = image_B.repeat(2), labels_B.repeat(2)
    keys_KD, images_K, labels_K = anchors_AD, images_A, labels_A
    if gather:
        doubled = [2 * count for count in counts]
        keys_KD = gather_ranks(anchors_AD, counts=doubled)
        images_K, labels_K = gather_rows(images_A, doubled), gather_rows(labels_A, doubled)
    others_A = streaming_logsumexp(anchors_AD, keys_KD, logit_scale, exclude=(images_A, images_K))
    partner_AD = torch.cat([second, first])
    mean_AD = _mean_of_positives(anchors_AD, keys_KD, labels_K, slice(2 * start, 2 * start + len(anchors_AD)))
    near_A = softplus_exact(others_A - logit_scale * (anchors_AD * partner_AD).sum(dim=1))
    drift_A = logit_scale * (anchors_AD * (partner_AD - mean_AD)).sum(dim=1)
    return (near_A + drift_A).sum()


def _mean_of_positives(anchors_AD: Tensor, keys_KD: Tensor, labels_K: Tensor, own: slice) -> Tensor:
    """For each anchor the mean of the keys with its label, itself left out; ``own`` says which keys the anchors are."""
    names, class_K = labels_K.unique(return_inverse=True)
    sums = keys_KD.new_zeros(names.shape[0], keys_KD.shape[1]).index_add(0, class_K, keys_KD)
    sizes = keys_KD.new_zeros(names.shape[0]).index_add(0, class_K, keys_KD.new_ones(len(class_K)))
    class_A = class_K[own]
    return (sums[class_A] - anchors_AD) / (sizes[class_A] - 1)[:, None]
