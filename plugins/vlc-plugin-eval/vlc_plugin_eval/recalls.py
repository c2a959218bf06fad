"""The figures of retrieval, from ranks.

Shapes: Q queries.
"""

from __future__ import annotations

from torch import Tensor

from vlc_plugin_eval.ranking import Ranks

DEPTHS = (1, 5, 10)


def recalls(rank_Q: Tensor) -> list[float]:
    """The share of queries with a relevant item among the first 1, 5 and 10.

    Args:
        rank_Q: (Q,) int64, the rank of the best relevant item, from 1.
    """
    return [float((rank_Q <= depth).double().mean()) for depth in DEPTHS]


def median_rank(rank_Q: Tensor) -> float:
    """The median of (Q,) ranks; between the two in the middle where their number is even."""
    ordered = rank_Q.sort().values
    middle = ordered[[(len(ordered) - 1) // 2, len(ordered) // 2]]
    return float(middle.double().mean())


def recall_metrics(ranks: Ranks) -> dict[str, float]:
    """Recalls and median ranks by direction, the mean of the six recalls, and how many images and texts there are."""
    metrics: dict[str, float] = {}
    found: list[float] = []
    for direction, rank_Q in (("i2t", ranks.of_text), ("t2i", ranks.of_image)):
        own = recalls(rank_Q)
        found += own
        metrics |= {f"{direction}_recall@{depth}": share for depth, share in zip(DEPTHS, own, strict=True)}
        metrics[f"{direction}_median_rank"] = median_rank(rank_Q)
    metrics["mean_recall"] = sum(found) / len(found)
    return metrics | {"images": float(len(ranks.of_text)), "texts": float(len(ranks.of_image))}
