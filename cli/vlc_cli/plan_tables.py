"""What a recipe would take, as a table: one column for each number of devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vlc_cli import console

if TYPE_CHECKING:
    from vlc_core.plan.planning import Plan, RankPlan

PARTS = {
    "weights": "weights",
    "gathered weights": "weights, gathered",
    "optimizer": "optimizer",
    "gradients": "gradients",
    "buckets": "buckets of gradients",
    "image": "activations, image",
    "text": "activations, text",
    "objectives": "objectives: tiles, gathered embeddings",
    "batch": "batch",
    "evaluation": "evaluation",
    "saving": "copies to save",
    "heap": "the C library's heap, kernels",
    "other": "other",
}
LEAST = 1024
"""Bytes that a part must take to be shown."""
MOMENTS = {
    "step": "forward and backward pass",
    "update": "optimizer step",
    "evaluate": "evaluation",
    "save": "saving a checkpoint",
}


def counts(devices: Sequence[str]) -> list[int]:
    """The numbers of devices that ``--devices 1,8 --devices 1024`` asks for.

    Raises:
        RecipeError: One of them is no number above zero.
    """
    from vlc_core.errors import RecipeError

    asked = [word.strip() for given in devices for word in given.split(",")]
    wrong = [word for word in asked if not word.isdecimal() or int(word) < 1]
    if wrong:
        raise RecipeError(f"--devices {wrong[0]}: give numbers of devices, one or several as in 1,8,1024")
    return list(dict.fromkeys(int(word) for word in asked))


def tables(plan: Plan) -> str:
    """``plan`` for people."""
    if plan.untraceable:
        return f"no plan: {plan.untraceable}\n"
    head = f"each device, {plan.on}, {plan.precision}, ZeRO {plan.zero_stage}"
    columns = [f"{rank.devices:,} device{'s' if rank.devices > 1 else ''}" for rank in plan.ranks]
    table = console.table((head, *columns), _rows(plan.ranks), right=columns)
    refused = [
        f"{rank.devices:,} devices: {_told(plan.refused[rank.devices], rank)}" for rank in plan.ranks if rank.changed
    ]
    return "\n".join([table, *refused])


def _told(reason: str, rank: RankPlan) -> str:
    changes = " ".join(f"--set {key}={value}" for key, value in rank.changed.items())
    return f"{reason}. Planned with {changes}"


def size(number: float) -> str:
    """Bytes as people read them: ``512 B``, ``1.4 MiB``, ``3.2 GiB``."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if number >= 1 << power:
            return (
                f"{number / (1 << power):.3g} {unit}"
                if number < 1000 << power
                else f"{number / (1 << power):,.0f} {unit}"
            )
    return f"{number:.0f} B"


def operations(number: float) -> str:
    """Floating-point operations as people read them."""
    for unit, power in (("PFLOP", 15), ("TFLOP", 12), ("GFLOP", 9)):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {unit}"
    return f"{number / 10**6:.3g} MFLOP"


def _rows(ranks: Sequence[RankPlan]) -> list[tuple[str, ...]]:
    def row(name: str, cell: Callable[[RankPlan], str]) -> tuple[str, ...]:
        return (name, *(cell(rank) for rank in ranks))

    sending = any(rank.devices > 1 for rank in ranks)
    return [
        row("samples a step", lambda rank: f"{rank.batch_size:,}"),
        row("samples at once", lambda rank: f"{rank.micro_batch_size:,}"),
        row("memory at most", lambda rank: size(rank.memory.total)),
        *(line for moment in MOMENTS for line in _moment(moment, ranks)),
        row("host memory to save", lambda rank: size(rank.memory.saving)),
        row("compute a step", lambda rank: operations(rank.flops)),
        *([row("sent a step", lambda rank: size(rank.traffic.total))] if sending else []),
        *([row("  gradients", lambda rank: size(rank.traffic.gradients))] if sending else []),
        *([row("  weights", lambda rank: size(rank.traffic.weights))] if sending else []),
        *([row("  objectives", lambda rank: size(rank.traffic.objectives))] if sending else []),
    ]


def _moment(moment: str, ranks: Sequence[RankPlan]) -> list[tuple[str, ...]]:
    """The memory at a moment, and for the passes of a step, where most is decided, what it consists of."""
    held = [rank.memory.of_moments.get(moment, {}) for rank in ranks]
    if not any(held):
        return []
    rows = [(f"  {MOMENTS[moment]}", *(size(sum(parts.values())) for parts in held))]
    if moment == "step":
        shown = [part for part in PARTS if any(parts.get(part, 0) >= LEAST for parts in held)]
        rows += [(f"    {PARTS[part]}", *(size(parts.get(part, 0)) for parts in held)) for part in shown]
    return rows
