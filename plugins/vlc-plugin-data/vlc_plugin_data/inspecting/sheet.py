"""A contact sheet: some samples of a dataset as small pictures."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.loading.decode import decode

SIDE = 224
"""The longer side of a thumbnail in pixels; smaller pictures keep their size."""

QUALITY = 82
SMALL = 80
_TRIES = 4
"""How many samples are tried for each thumbnail before a set is taken to be broken."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One sample.

    Attributes:
        uri: The small picture itself, as a ``data:`` URI.
        width: Of the whole picture, in pixels.
        height: Of it.
        key: What the sample is called.
        label: The name of its class; empty where it has none.
        texts: Its captions, those that say something.
    """

    uri: str
    width: int
    height: int
    key: str
    label: str
    texts: tuple[str, ...]

    @property
    def small(self) -> bool:
        """Whether the picture is so small that its pixels are shown as squares."""
        return max(self.width, self.height) <= SMALL


def contact_sheet(dataset: Dataset, indices: Sequence[int], count: int, *, seed: int = 0) -> Iterator[Thumbnail]:
    """At most ``count`` samples out of ``indices``, drawn by ``seed``; those that are broken are passed over."""
    drawn = random.Random(seed).sample(range(len(indices)), min(len(indices), _TRIES * count))
    found = 0
    for place in drawn:
        if found >= count:
            return
        shown = thumbnail(dataset, indices[place])
        if shown is not None:
            found += 1
            yield shown


def thumbnail(dataset: Dataset, index: int) -> Thumbnail | None:
    """Sample ``index`` as a small picture; None where it cannot be read, or is a vector."""
    try:
        sample = dataset[index]
        if isinstance(sample.image, np.ndarray):
            return None
        picture = decode(sample.image)
    except DataError:
        return None  # it is in the list of broken samples, or would be if every pixel had been decoded
    texts = tuple(text for text in sample.texts if text and not text.isspace())
    return Thumbnail(as_uri(picture), *picture.size, sample.key, _class_name(dataset, sample), texts)


def _class_name(dataset: Dataset, sample: Sample) -> str:
    names = dataset.classes or ()
    return names[sample.label] if 0 <= sample.label < len(names) else ""


def as_uri(picture: Image.Image) -> str:
    """``picture`` as a ``data:`` URI, at most ``SIDE`` pixels a side."""
    picture = picture.copy()
    picture.thumbnail((SIDE, SIDE))
    buffer = BytesIO()
    if max(picture.size) <= SMALL:  # drawings and thumbnails: JPEG would smear them and save nothing
        picture.save(buffer, "PNG")
        kind = "png"
    else:
        picture.save(buffer, "JPEG", quality=QUALITY)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
