"""The rule on evaluation sets: which samples show a picture that is nearly one of theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlc_core.registry import Registry
from vlc_plugin_curate.cleaning.sources.gather import Source
from vlc_plugin_curate.cleaning.stages import Stage, Stages
from vlc_plugin_curate.near.compared import Compared, Thresholds, compare_each
from vlc_plugin_curate.near.sources import Sources

LOOKS = "looks"
"""The folder, among the stages, of what images were hashed and embedded to."""

SCHEMA = pa.schema([("number", pa.int32()), ("row", pa.int64())])
_TOLD = b"vlc"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearReport:
    """What was found of one evaluation set.

    Attributes:
        name: Of the set.
        images: Its images.
        unreadable: Those of them that could not be read, of which copies may be left.
        flat: Those of nearly one colour, whose looks say nothing.
        found: Samples of the sources that are near-duplicates of its images.
        by_looks: Those of them that their hashes tell.
        by_model: Those that only the model's embeddings tell; None without a model.
    """

    name: str
    images: int
    unreadable: int
    flat: int
    found: int
    by_looks: int
    by_model: int | None


def near_evaluation(
    sources: Sequence[Source],
    evaluation: Sequence[Source],
    by: Thresholds,
    stages: Stages,
    registry: Registry,
    *,
    workers: int,
) -> Stage:
    """The stage with ``number`` and ``row`` of every sample that is a near-duplicate of one in ``evaluation``.

    Args:
        sources: What is filtered.
        evaluation: What none of it may resemble.
        by: What makes two pictures near-duplicates; its embedder keeps what it made in :data:`LOOKS`.
        stages: Where results are kept, hashes of images included.
        registry: Where datasets are found.
        workers: Processes that decode images.

    Raises:
        VlcError: A source cannot be read, or no image of the sources or of the sets.
    """

    def write(path: Path) -> None:
        train, others = _opened(sources, registry), _opened(evaluation, registry)
        cache = stages.folder / LOOKS
        prints, evaluated = train.fingerprints(cache, workers), others.fingerprints(cache, workers)
        found = list(compare_each(train, prints, others, evaluated, by))
        rows = np.unique(np.concatenate([one.pairs.left for one in found]))
        source = np.searchsorted(train.starts, rows, side="right") - 1
        told = json.dumps([asdict(_report(one)) for one in found])
        table = pa.table(
            {"number": source.astype(np.int32), "row": rows - train.starts[source]},
            schema=SCHEMA.with_metadata({_TOLD: told}),
        )
        pq.write_table(table, path)

    depends: list[Any] = [[one.digest for one in sources], [one.digest for one in evaluation], by.radius]
    depends += [] if by.embedder is None else [by.embedder.digest, by.min_cosine]
    return stages.make("near", depends, write)


def told_by(near: Stage) -> tuple[NearReport, ...]:
    """What was found of each of the evaluation sets."""
    metadata = pq.read_schema(near.path).metadata
    return tuple(NearReport(**one) for one in json.loads(metadata[_TOLD]))


def _opened(sources: Sequence[Source], registry: Registry) -> Sources:
    return Sources([one.spec for one in sources], [one.open(registry) for one in sources])


def _report(one: Compared) -> NearReport:
    rows = one.pairs.left
    found, by_looks = len(np.unique(rows)), len(np.unique(rows[one.pairs.by_looks]))
    return NearReport(
        name=one.name,
        images=len(one.prints),
        unreadable=len(one.prints) - one.prints.readable,
        flat=one.prints.flat,
        found=found,
        by_looks=by_looks,
        by_model=None if one.pairs.cosine is None else found - by_looks,
    )
