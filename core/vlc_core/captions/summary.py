"""What a tokenizer makes of texts: how long they become, and how much of them it does not know."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlc_core.tokenizer import Tokenizer

_BATCH = 1024
_NO_CUT = 1 << 20


class Reservoir:
    """Up to ``size`` of the texts that pass, all with the same chance, the same ones every time."""

    def __init__(self, size: int = 20_000) -> None:
        self.texts: list[str] = []
        self.passed = 0
        self._size = size
        self._next = random.Random(0).random

    def add(self, text: str) -> None:
        """Lets ``text`` pass."""
        self.passed += 1
        if len(self.texts) < self._size:
            self.texts.append(text)
        elif (place := int(self._next() * self.passed)) < self._size:
            self.texts[place] = text


@dataclass(frozen=True, slots=True)
class Summary:
    """Of some texts.

    Attributes:
        mean_tokens: Of a text, its start and end among them.
        tokens_99: As many as 99 of 100 texts have or fewer.
        longest: The most that one has.
        unknown: Share of tokens, start and end left out, that stand for something unknown.
        texts_with_unknown: Share of texts that have one.
    """

    mean_tokens: float
    tokens_99: int
    longest: int
    unknown: float
    texts_with_unknown: float


def summarise(tokenizer: Tokenizer, texts: Sequence[str]) -> Summary:
    """What ``tokenizer`` makes of ``texts``, of which there is at least one."""
    vocabulary = tokenizer.vocabulary
    around = sum(number is not None for number in (vocabulary.start, vocabulary.end))
    lengths, strange = [], []
    for first in range(0, len(texts), _BATCH):
        tokens = tokenizer.encode(texts[first : first + _BATCH], _NO_CUT)
        lengths.append(tokens.mask.sum(dim=1).numpy())
        # Without an id for what is unknown nothing is: -1 is no id at all.
        unknown = -1 if vocabulary.unknown is None else vocabulary.unknown
        strange.append(((tokens.ids == unknown) & tokens.mask).sum(dim=1).numpy())
    length_N, strange_N = np.concatenate(lengths), np.concatenate(strange)
    words = int((length_N - around).sum())
    return Summary(
        mean_tokens=float(length_N.mean()),
        tokens_99=int(np.percentile(length_N, 99, method="inverted_cdf")),
        longest=int(length_N.max()),
        unknown=float(strange_N.sum() / words) if words else 0.0,
        texts_with_unknown=float((strange_N > 0).mean()),
    )
