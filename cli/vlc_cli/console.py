"""What the commands print with: the terminal of core, and the metrics of evaluations as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from vlc_core.terminal import (
    Notice,
    alarm,
    bold,
    count,
    dim,
    duration,
    listing,
    say,
    say_json,
    table,
    waiting,
)

__all__ = [
    "Notice",
    "alarm",
    "bold",
    "count",
    "dim",
    "duration",
    "listing",
    "metric_line",
    "metric_rows",
    "say",
    "say_json",
    "table",
    "waiting",
    "without_counts",
]

FEW_METRICS = 4
COUNTS = ("samples", "classes", "images", "texts", "queries", "vocabulary", "languages")
"""Words in the names of metrics that only say how much was measured."""
OTHERS = {"rank", "strength", "shots", "cosine", "silhouette", "k", "sts", "sis", "sits"}
"""Words in the names of metrics that are no shares, even where their values are in 0…1."""


def metric_rows(values: Mapping[str, float]) -> list[tuple[str, str]]:
    """The metrics of an evaluation for people: shares in percent, ranks and counts as they are."""
    return [(name.replace("_", " "), _metric(name, value)) for name, value in values.items()]


def without_counts(values: Mapping[str, float]) -> dict[str, float]:
    """The metrics that say how good a model is, without those that say on how much."""
    return {name: value for name, value in values.items() if not _is_count(name)}


def metric_line(values: Mapping[str, float]) -> str:
    """What fits on a line of an evaluation: its shares, and of many only those at 1 and the means."""
    shares = {name: value for name, value in values.items() if _is_share(name, value)} or dict(values)
    if len(shares) > FEW_METRICS:
        shares = {name: value for name, value in shares.items() if name.endswith("1") or "mean" in name} or shares
    return " · ".join(f"{name} {value}" for name, value in metric_rows(shares))


def _metric(name: str, value: float) -> str:
    return f"{100 * value:.1f} %" if _is_share(name, value) else f"{value:.4g}"


def _is_share(name: str, value: float) -> bool:
    return 0 <= value <= 1 and OTHERS.isdisjoint(name.split("_")) and not _is_count(name)


def _is_count(name: str) -> bool:
    return any(word in name for word in COUNTS)
