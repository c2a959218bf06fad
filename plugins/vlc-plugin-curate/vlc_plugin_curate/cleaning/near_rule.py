"""The rule on evaluation sets: which samples show a picture that is nearly one of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlc_core.registry import Registry
from vlc_plugin_curate.cleaning.sources.gather import Source
from vlc_plugin_curate.cleaning.stages import Stage, Stages
from vlc_plugin_curate.near import near_duplicates

SCHEMA = pa.schema([("number", pa.int32()), ("row", pa.int64())])


def near_evaluation(
    sources: Sequence[Source],
    evaluation: Sequence[Source],
    stages: Stages,
    registry: Registry,
    *,
    radius: int,
    workers: int,
) -> Stage:
    """The stage with ``number`` and ``row`` of every sample that is a near-duplicate of one in ``evaluation``.

    Args:
        sources: What is filtered.
        evaluation: What none of it may resemble.
        stages: Where results are kept, hashes of images included.
        registry: Where datasets are found.
        radius: How many of 64 bits of two pictures' hashes may differ.
        workers: Processes that decode images.

    Raises:
        VlcError: A source cannot be read.
    """

    def write(path: Path) -> None:
        found: set[tuple[int, int]] = set()
        for one in sources:
            train = one.open(registry)
            for other in evaluation:
                near = near_duplicates(
                    train,
                    other.open(registry),
                    radius=radius,
                    cache=stages.folder / "looks",
                    workers=workers,
                    names=(one.spec.name, other.spec.name),
                )
                found |= {(one.number, int(row)) for row in near.train}
        numbers, rows = zip(*sorted(found), strict=True) if found else ((), ())
        pq.write_table(pa.table({"number": numbers, "row": rows}, schema=SCHEMA), path)

    depends = [[one.digest for one in sources], [one.digest for one in evaluation], radius]
    return stages.make("near", depends, write)
