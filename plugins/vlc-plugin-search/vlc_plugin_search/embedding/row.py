"""What is kept of a sample."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What is kept of a sample beside its embedding.

    Attributes:
        source: Which dataset it is of.
        sample: Its number there.
        key: What it is called there.
        label: The name of its class; None where it has none.
        texts: Its captions, or the name of its class where it has none.
    """

    source: int
    sample: int
    key: str
    label: str | None
    texts: tuple[str, ...]
