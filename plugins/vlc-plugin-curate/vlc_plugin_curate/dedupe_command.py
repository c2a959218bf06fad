"""``vlc … dedupe``."""

from __future__ import annotations


def dedupe() -> None:
    """Not here yet."""
