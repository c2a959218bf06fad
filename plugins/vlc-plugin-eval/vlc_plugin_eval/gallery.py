"""From encoded images to what retrieval asks: distinct images, distinct texts, and which belong together."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vlc_core.batch import UNLABELLED
from vlc_plugin_eval.labels import check_labels
from vlc_plugin_eval.templates import fill

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet


class Gallery(NamedTuple):
    """Distinct images and texts.

    Attributes:
        rows: (N,) int64, the row of each distinct image in the image set.
        texts: M distinct texts, in the order of their first appearance.
        pairs: (P, 2) int64, which (image, text) belong together, none twice.
        repeated: How many rows showed an image that an earlier row had shown.
        without_text: How many distinct images have no text and were left out.
    """

    rows: Tensor
    texts: list[str]
    pairs: Tensor
    repeated: int
    without_text: int


def captions_of(images: ImageSet, classes: Sequence[str] | None, templates: Sequence[str]) -> list[list[str]]:
    """Each row's captions, blank ones dropped; where it has none, the templates over its class name.

    Raises:
        DataError: A label has no class name.
    """
    if classes is not None:
        check_labels(images.labels, classes)
    named = [list(fill(templates, name)) for name in classes or ()]
    captions = []
    for texts, label in zip(images.texts, images.labels.tolist(), strict=True):
        own = [text.strip() for text in texts if text.strip()]
        captions.append(named[label] if not own and named and label != UNLABELLED else own)
    return captions


def build_gallery(keys: Sequence[str], captions: Sequence[Sequence[str]]) -> Gallery:
    """Merges rows of one key (an empty key is nobody else's) and equal texts.

    A text that stands beside several images is relevant to all of them.
    """
    merged: dict[str | int, tuple[int, list[str]]] = {}
    for row, (key, texts) in enumerate(zip(keys, captions, strict=True)):
        merged.setdefault(key or row, (row, []))[1].extend(texts)
    kept = [(row, texts) for row, texts in merged.values() if texts]
    numbers: dict[str, int] = {}
    pairs = array("q")
    for image, (_, texts) in enumerate(kept):
        for text in dict.fromkeys(texts):
            pairs.extend((image, numbers.setdefault(text, len(numbers))))
    return Gallery(
        rows=torch.tensor([row for row, _ in kept], dtype=torch.int64),
        texts=list(numbers),
        pairs=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
        repeated=len(keys) - len(merged),
        without_text=len(merged) - len(kept),
    )
