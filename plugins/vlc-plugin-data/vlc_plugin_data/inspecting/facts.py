"""What there is to know about one sample without its pixels, or after decoding them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from vlc_core import DataError, Dataset, Sample
from vlc_core.batch import UNLABELLED
from vlc_core.loading.decode import decode
from vlc_plugin_data.inspecting.header import Header, read_header

SHOWN_CHARACTERS = 160
"""Of a caption, for lists; its length is counted on the whole."""

CountTokens = Callable[[Sequence[str]], Sequence[int]]


class Caption(NamedTuple):
    """One caption of a sample.

    Attributes:
        text: Its beginning.
        characters: How long it is; 0 where it is empty or blank.
        words: What white space separates.
        tokens: Of a tokenizer; None without one.
        digest: Equal for equal texts.
        garbled: Whether it holds U+FFFD, which stands for bytes that were no UTF-8.
    """

    text: str
    characters: int
    words: int
    tokens: int | None
    digest: int
    garbled: bool


class Facts(NamedTuple):
    """One sample.

    Attributes:
        sample: Its index in the dataset.
        key: What the sample is called; empty where it could not be read at all.
        reason: Why training would pass it over, as a clause; empty where it would not.
        header: Size and format; None where there is none.
        bytes: Of the encoded file; 0 for a drawn picture.
        content: A digest of the encoded file, or of the pixels of a drawn picture.
        label: -1 where it has none.
        captions: Empty where it has none.
    """

    sample: int
    key: str
    reason: str
    header: Header | None = None
    bytes: int = 0
    content: int = 0
    label: int = UNLABELLED
    captions: tuple[Caption, ...] = ()


def look(dataset: Dataset, index: int, *, decoded: bool = False, count_tokens: CountTokens | None = None) -> Facts:
    """The facts of sample ``index``; what cannot be read becomes a reason, never an exception.

    Args:
        dataset: Where it is.
        index: Which it is.
        decoded: Whether every pixel is decoded, which finds files that are cut short.
        count_tokens: Gives how many tokens each of some texts has.
    """
    try:
        sample = dataset[index]
    except DataError as error:
        return Facts(index, "", str(error))
    try:
        header = read_header(sample.image)
        if decoded and not isinstance(sample.image, np.ndarray):
            decode(sample.image)
        _check_label(sample, dataset.classes)
    except DataError as error:
        return Facts(index, sample.key, str(error))
    data = sample.image if isinstance(sample.image, bytes) else np.asarray(sample.image).tobytes()
    return Facts(
        index,
        sample.key,
        "",
        header,
        len(data) if isinstance(sample.image, bytes) else 0,
        digest(data),
        sample.label,
        describe(sample.texts, count_tokens),
    )


def describe(texts: Sequence[str], count_tokens: CountTokens | None = None) -> tuple[Caption, ...]:
    """The facts of captions."""
    tokens = [None] * len(texts) if count_tokens is None or not texts else count_tokens(texts)
    return tuple(_caption(text, count) for text, count in zip(texts, tokens, strict=True))


def digest(data: bytes) -> int:
    """64 bits that are equal for equal ``data``."""
    return int.from_bytes(blake2b(data, digest_size=8).digest())


def _caption(text: str, tokens: int | None) -> Caption:
    if not text or text.isspace():
        return Caption("", 0, 0, tokens, 0, False)
    key = digest(text.encode("utf-8", "surrogatepass"))
    return Caption(text[:SHOWN_CHARACTERS], len(text), len(text.split()), tokens, key, "\ufffd" in text)


def _check_label(sample: Sample, classes: list[str] | None) -> None:
    count = None if classes is None else len(classes)
    if sample.label < UNLABELLED or (count is not None and sample.label >= count):
        raise DataError(f"its label {sample.label} is none of {count} classes")
