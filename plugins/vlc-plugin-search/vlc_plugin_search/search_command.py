"""``vlc … search``."""

from __future__ import annotations


def search() -> None:
    """Not here yet."""
