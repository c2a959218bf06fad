"""The types of the transforms' options, with the values that are allowed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(gt=0, le=1)]
"""Of an area."""

Positive = Annotated[float, Field(gt=0)]

Often = Annotated[float, Field(ge=0, le=1)]
"""How often something happens to a view: a probability."""

Strength = Annotated[float, Field(ge=0, le=1)]
"""A factor is drawn between one less and one more than this."""


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """The smaller one first; a range may be written either way."""
    return min(pair), max(pair)
