"""``vlc … embed``."""

from __future__ import annotations


def embed() -> None:
    """Not here yet."""
