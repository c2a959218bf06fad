"""Random numbers that are a pure function of what they are for."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of random numbers named by a key.

    Only ``random.random`` is drawn from, whose sequence Python promises to keep, so a scene stays what it is
    in every version of Python and on every machine.
    """

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
        self._next = random.Random(int.from_bytes(digest, "little")).random

    def share(self) -> float:
        """Uniform in [0, 1)."""
        return self._next()

    def between(self, least: int, most: int) -> int:
        """An integer, both ends included."""
        return least + int(self._next() * (most - least + 1))

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``, all equally likely."""
        return items[int(self._next() * len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of ``items`` in a random order."""
        return [item for _, _, item in sorted((self._next(), n, item) for n, item in enumerate(items))]
