"""Warnings of evaluators that run again and again while a model is trained."""

from __future__ import annotations

import logging
from functools import cache

from vlc_core import distributed

log = logging.getLogger("vlc")


@cache
def warn_once(sentence: str) -> None:
    """Warns on the first rank, and only the first time."""
    if distributed.rank() == 0:
        log.warning(sentence)
