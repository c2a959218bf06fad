"""ALIGN's loss as a function (Jia et al. 2021, arXiv 2102.05918, equations 1 and 2).

Shapes: B this rank's pairs, D embedding width.
"""

from __future__ import annotations

from torch import Tensor

from vlc_core.contrast import batch_mean, pair_losses


def normalized_softmax_loss(
    image: Tensor, text: Tensor, temperature: Tensor | float, *, label_smoothing: float = 0.0, gather: bool = False
) -> Tensor:
    """½ · [cross entropy of image → text + cross entropy of text → image], the mean over the batch.

    The logits are image · text / temperature. With label smoothing ε the target of an anchor is (1 − ε) its own key and
    ε spread evenly over all keys, the own one included. The paper adds the two directions; averaged, the loss without
    smoothing is CLIP's.

    Args:
        image: (B, D) image embeddings, rows of unit length.
        text: (B, D) text embeddings, rows of unit length; row i belongs to image i.
        temperature: What similarities are divided by; a number, a scalar or of shape (1,).
        label_smoothing: ε, 0…1.
        gather: Take the keys from all ranks. The mean of the results over ranks is then the loss of the whole
            batch, and gradients averaged over ranks are its gradients, ranks of different B included.

    Returns:
        A scalar.
    """
    total = normalized_softmax_sum(image, text, 1 / temperature, label_smoothing=label_smoothing, gather=gather)
    return batch_mean(total, image.shape[0], gather=gather)


def normalized_softmax_sum(
    image: Tensor,
    text: Tensor,
    scale: Tensor | float,
    *,
    label_smoothing: float = 0.0,
    negatives: float = 1.0,
    seed: int = 0,
    gather: bool = False,
) -> Tensor:
    """As :func:`normalized_softmax_loss`, but summed over this rank's B pairs instead of averaged over all.

    Args:
        image: (B, D), as there.
        text: (B, D), as there.
        scale: 1 / temperature.
        label_smoothing: As there; it is spread over the keys that take part.
        negatives: The share of the keys that take part, the same ones for every anchor; its own key always does.
        seed: Draws them; equal on all ranks.
        gather: As there.
    """
    image_to_text_B, text_to_image_B = pair_losses(
        image, text, scale, gather=gather, smoothing=label_smoothing, share=negatives, seed=seed
    )
    return (image_to_text_B.sum() + text_to_image_B.sum()) / 2
