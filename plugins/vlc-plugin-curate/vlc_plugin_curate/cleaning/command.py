"""``vlc … clean``."""

from __future__ import annotations


def clean() -> None:
    """Not here yet."""
