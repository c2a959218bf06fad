"""CLIP's loss as a function (Radford et al. 2021, arXiv 2103.00020, figure 3).

Shapes: B this rank's pairs, D embedding width.
"""

from __future__ import annotations

from torch import Tensor

from vlc_core.contrast import batch_mean, pair_losses


def clip_loss(image: Tensor, text: Tensor, logit_scale: Tensor, *, gather: bool = False) -> Tensor:
    """½ · [cross entropy of image → text + cross entropy of text → image], the mean over the batch.

    Args:
        image: (B, D) image embeddings, rows of unit length.
        text: (B, D) text embeddings, rows of unit length; row i belongs to image i.
        logit_scale: What similarities are multiplied with, already exponentiated; a scalar or of shape (1,).
        gather: Take the keys from all ranks. The mean of the results over ranks is then the loss of the whole
            batch, and gradients averaged over ranks are its gradients, ranks of different B included.

    Returns:
        A scalar.
    """
    return batch_mean(clip_sum(image, text, logit_scale, gather=gather), image.shape[0], gather=gather)


def clip_sum(image: Tensor, text: Tensor, logit_scale: Tensor, *, gather: bool = False) -> Tensor:
    """As :func:`clip_loss`, but summed over this rank's B pairs instead of averaged over all."""
    image_to_text_B, text_to_image_B = pair_losses(image, text, logit_scale, gather=gather)
    return (image_to_text_B.sum() + text_to_image_B.sum()) / 2
