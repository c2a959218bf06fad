"""Which index is made of embeddings."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What ``--index`` offers."""

    EXACT = "exact"
    ANN = "ann"
    NONE = "none"
