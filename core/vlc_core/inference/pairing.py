"""Pairs of images and texts, a share at a time, as the model is given them.

Shapes: N pairs, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.errors import DataError
from vlc_core.inference.image_set import seen, stack_pixels
from vlc_core.interfaces.dataset import Dataset
from vlc_core.model.judging import Pairs
from vlc_core.tokenizer import Tokenizer


def read_pairs(
    images: Dataset,
    texts: Sequence[str],
    rows_N2: Tensor,
    tokenizer: Tokenizer,
    *,
    size: int,
    context: int,
    both: bool = False,
) -> tuple[Pairs, Tensor]:
    """What the model takes of pairs, each image and text once, and which of the pairs could be read, (N,) bool.

    Where no image can be read, or there is no pair, one black picture and an empty text stand for them, so that ranks
    stay in step.

    Args:
        images: The images.
        texts: The texts.
        rows_N2: (N, 2) int64, which image and which text.
        tokenizer: Of the text encoder.
        size: S.
        context: The most tokens of a text.
        both: Whether samples have a second image that is read too.

    Raises:
        DataError: ``both``, and a sample has no second image.
    """
    found: dict[int, int] = {}
    pixels: list[NDArray[Any]] = []
    second: list[NDArray[Any]] = []
    for index in dict.fromkeys(rows_N2[:, 0].tolist()):
        try:
            sample = images[index]
            one = seen(sample.image, size, None)
            other = seen(sample.second, size, None) if both and sample.second is not None else None
        except (DataError, OSError):
            continue
        if both and other is None:
            raise DataError(f"the sample {sample.key or index} has one image, and two of each are read here")
        found[index] = len(pixels)
        pixels.append(one)
        second += [] if other is None else [other]
    readable_N = torch.tensor([index in found for index in rows_N2[:, 0].tolist()], dtype=torch.bool)
    kept = rows_N2[readable_N].tolist()
    numbers = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in kept))}
    encoded = tokenizer.encode([texts[text] for text in numbers] or [""], context)
    rows = [(found[image], numbers[text]) for image, text in kept] or [(0, 0)]
    black = [np.zeros((size, size, 3), np.uint8)]
    pairs = Pairs(
        stack_pixels(pixels or black, size),
        stack_pixels(second or black, size) if both else None,
        encoded.ids,
        encoded.mask,
        torch.tensor(rows, dtype=torch.int64),
    )
    return pairs, readable_N
