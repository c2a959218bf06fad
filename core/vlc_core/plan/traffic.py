"""Bytes that a rank sends in a step, under each ZeRO stage.

Counted as ring algorithms send them: an all-gather or a reduce-scatter of S bytes takes S·(N−1)/N, an all-reduce twice
that (Patarasuk and Yuan 2009). DeepSpeed's stage 2 reduces whole buckets on every rank unless
``use_multi_rank_bucket_allreduce`` is off, and does so for every micro-batch, as stage 3 does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlc_core.plan.memory import Sizes


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that a rank sends in a step.

    Attributes:
        gradients: To reduce them.
        weights: To hand updated weights round, or under stage 3 to gather them when they are used; the latter is the
            most that it can be.
        objectives: Gathered embeddings, their gradients, and what else the objectives exchange.
    """

    gradients: float
    weights: float
    objectives: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.gradients + self.weights + self.objectives


def traffic(
    sizes: Sizes, objectives: float, settings: Mapping[str, Any], *, stage: int, world: int, parts: int, low: bool
) -> Traffic:
    """What a rank sends.

    Args:
        sizes: Of the model.
        objectives: What the objectives send, as traced.
        settings: DeepSpeed's ``zero_optimization`` section.
        stage: The ZeRO stage that is taken.
        world: How many ranks there are.
        parts: Micro-batches of a step.
        low: Whether the run is in bf16.
    """
    share = (world - 1) / world
    gradients = sizes.gradients - (sizes.low_gradients // 2 if low and stage > 0 else 0)
    if stage == 3:
        passes = 2 if parts == 1 else 3 * parts
        return Traffic(parts * share * gradients, passes * share * (sizes.gradients - sizes.persistent), objectives)
    times = parts if stage == 2 else 1
    both_ways = 2 if stage < 2 or settings.get("use_multi_rank_bucket_allreduce", True) else 1
    return Traffic(times * both_ways * share * gradients, share * sizes.gradients if stage else 0.0, objectives)
