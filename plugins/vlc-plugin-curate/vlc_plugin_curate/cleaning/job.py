"""What is to be done with sources: by which thresholds, where, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlc_core.naming import SourceSpec
from vlc_plugin_curate.cleaning.engines.duck import Limits
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.near.compared import as_options
from vlc_plugin_curate.near.embeddings import MIN_COSINE
from vlc_plugin_curate.near.looks import RADIUS

DUCKDB = "duckdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How sources are filtered.

    Attributes:
        chosen: The thresholds.
        evaluation: Sets of whose images no near-duplicate may be left.
        radius: How many of 64 bits of two pictures' hashes may differ where they are near-duplicates.
        model: A run, or an exported folder, whose embeddings tell near-duplicates too; None looks at hashes alone.
        min_cosine: Of embeddings of near-duplicates, the least.
        engine: ``duckdb``, or a Spark master.
        limits: What DuckDB may take.
        workers: Processes that read images; 0 reads in this one.
        shard: Samples in a tar; None writes no tars.
        keep_stages: Whether results on the way stay when all is done.
    """

    chosen: Filter
    limits: Limits
    evaluation: Sequence[SourceSpec] = field(default_factory=tuple)
    radius: int = RADIUS
    model: Path | None = None
    min_cosine: float = MIN_COSINE
    engine: str = DUCKDB
    workers: int = 0
    shard: int | None = None
    keep_stages: bool = False

    def nearness(self) -> dict[str, Any]:
        """The options on evaluation sets by name."""
        named: dict[str, Any] = {"evaluation_sets": [spec.name for spec in self.evaluation]}
        return named | (as_options(self.radius, self.model, self.min_cosine) if self.evaluation else {})
