"""Warnings of evaluators that run again and again while a model is trained."""

from __future__ import annotations

import logging
from functools import cache

from vlc_core import distributed

log = logging.getLogger("vlc")

SHOWN = 3
"""Names that a warning gives."""


@cache
def warn_once(sentence: str) -> None:
    """Warns on the first rank, and only the first time."""
    if distributed.rank() == 0:
        log.warning(sentence)


def some(names: list[str]) -> str:
    """The first of ``names``, and whether there are more."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
