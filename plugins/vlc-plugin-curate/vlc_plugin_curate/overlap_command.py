"""``vlc … overlap``."""

from __future__ import annotations


def overlap() -> None:
    """Not here yet."""
