"""How much a run sees of each of its sources."""

from __future__ import annotations

from dataclasses import dataclass

from vlc_core.interfaces.sampler import Sampler


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a run sees of one source.

    Attributes:
        source: Its name in the recipe.
        size: How many samples it has.
        share: Which part of the samples drawn are its own.
        epochs: How often the run goes through it.
    """

    source: str
    size: int
    share: float
    epochs: float


def exposures(sampler: Sampler, samples: int) -> tuple[Exposure, ...]:
    """What a run of ``samples`` samples sees of each source, in the recipe's order."""
    return tuple(
        Exposure(source.name, size, share, share * samples / size)
        for source, size, share in zip(sampler.sources, sampler.sizes.tolist(), sampler.shares.tolist(), strict=True)
    )
