"""How the numbers of an embedding are kept."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """What ``vlc embed --dtype`` offers."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"
