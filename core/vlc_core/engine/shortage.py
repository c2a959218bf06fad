"""What to make smaller where memory runs out, in the recipe's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from vlc_core import distributed
from vlc_core.engine.settings import rank_batch, zero_stage
from vlc_core.errors import VlcError

if TYPE_CHECKING:
    from vlc_core.recipe.schema import Recipe

_CPU = "DefaultCPUAllocator"
"""torch's words for want of a machine's memory, which is a plain RuntimeError."""


@contextmanager
def shortage_named(recipe: Recipe, on: torch.device) -> Iterator[None]:
    """Says what to set where memory runs out.

    Raises:
        VlcError: Instead of the error of torch or Python.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not (isinstance(error, torch.OutOfMemoryError) or _CPU in str(error)):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise VlcError(
            f"rank {distributed.rank()} ran out of memory on {on} ({said}): {_advice(recipe, on)}; "
            f"vlc check tells what each would take, and --resume goes on from the last checkpoint"
        ) from error


def _advice(recipe: Recipe, on: torch.device) -> str:
    return f"set {settings}" if (settings := " or ".join(_smaller(recipe, on))) else "choose a smaller model"


def _smaller(recipe: Recipe, on: torch.device) -> Iterator[str]:
    """Settings that take less, those first that change nothing of what is learned."""
    world = distributed.world()
    per_rank, parts = rank_batch(recipe, world)
    micro = next((n for n in range(per_rank // parts // 2, 0, -1) if per_rank % n == 0), None)
    if micro is not None:
        yield f"train.micro_batch_size={micro}"
    if world > 1 and (stage := zero_stage(recipe.deepspeed)) < 3:
        yield f"deepspeed.zero_optimization.stage={stage + 1}"
    if on.type == "cuda" and recipe.train.precision == "fp32":
        yield "train.precision=bf16"
    if on.type == "cpu" and recipe.data.workers > 0:
        yield "data.workers=0"
    if per_rank > 1:
        yield f"train.batch_size={per_rank // 2 * world}"
