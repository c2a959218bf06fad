"""Learning-rate schedules: pure functions of the step."""

from __future__ import annotations

import math
from typing import Literal

Shape = Literal["constant", "linear", "cosine"]


def rate(step: int, *, use: Shape, peak: float, warmup: int, steps: int, final: float = 0.0) -> float:
    """The learning rate of step ``step``, 0 ≤ step < steps.

    It rises linearly to ``peak`` over ``warmup`` steps, then stays, falls linearly, or falls along half a cosine to
    ``final`` · ``peak`` at the last step.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if use == "constant":
        return peak
    share = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    fall = share if use == "linear" else (1 - math.cos(math.pi * share)) / 2
    return peak * (1 - (1 - final) * fall)
