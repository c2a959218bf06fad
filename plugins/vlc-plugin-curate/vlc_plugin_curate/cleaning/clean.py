"""Sources in, a list of what is worth training on and a report out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from vlc_core import DataError
from vlc_core.naming import SourceSpec
from vlc_core.registry import Registry
from vlc_core.terminal import waiting
from vlc_plugin_curate.cleaning import report
from vlc_plugin_curate.cleaning.engines.duck import DuckDb, as_pattern, quoted
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.job import DUCKDB, Job
from vlc_plugin_curate.cleaning.near_rule import LOOKS, near_evaluation, told_by
from vlc_plugin_curate.cleaning.numbers import counts_read
from vlc_plugin_curate.cleaning.page import as_page
from vlc_plugin_curate.cleaning.pipeline import Cleaned, Cleaning, Rows
from vlc_plugin_curate.cleaning.report import Report, SourceReport
from vlc_plugin_curate.cleaning.rewriting import rewrite
from vlc_plugin_curate.cleaning.sources import gather
from vlc_plugin_curate.cleaning.sources.gather import Source
from vlc_plugin_curate.cleaning.stages import Stage, Stages, digest_of, publish, write_whole
from vlc_plugin_curate.near.compared import Thresholds
from vlc_plugin_curate.near.embedder import Embedder

LIST, DROPPED, REPORT, PAGE, STAGES = "list.parquet", "dropped.parquet", "report.json", "report.html", ".stages"
_SHOWN = 20  # reasons in a report


def clean(specs: Sequence[SourceSpec], out: Path, job: Job, registry: Registry) -> Report:
    """Filters ``specs`` into the folder ``out``.

    What an earlier call of the same job on the same sources left there is gone on with, or taken as it is where that
    was all.

    Raises:
        DataError: A source is missing, or no pair is in any.
        RecipeError: The model takes no images.
        StorageError: ``out`` cannot be written, there is no model, or no Spark master answers.
        VlcError: The engine gave up.
    """
    stages = Stages(out / STAGES)
    duck = DuckDb(job.limits)
    engine: Engine = duck
    try:
        if job.engine != DUCKDB:
            from vlc_plugin_curate.cleaning.engines.spark import Spark

            engine = Spark(job.engine)
        return _Run(out, job, registry, stages, duck, engine).clean(specs)
    finally:
        if engine is not duck:
            engine.close()
        duck.close()


@dataclass(slots=True)
class _Run:
    out: Path
    job: Job
    registry: Registry
    stages: Stages
    duck: DuckDb
    engine: Engine

    def clean(self, specs: Sequence[SourceSpec]) -> Report:
        by = self._thresholds()
        sources, sets = self._found(specs)
        rows = self._rows(sources)
        cleaning = Cleaning(self.engine, self.stages, rows, self.job.chosen, evaluation=bool(sets))
        looked = cleaning.look()
        read = self._counted(rows.table, looked.numbers)
        near = self._near(sources, sets, by)
        cleaned = self._finished(cleaning.run(looked, near))
        told = self._written(self._report(cleaned, sources, read, near), cleaned, sources)
        if not self.job.keep_stages:
            self.stages.clear()
        return told

    def _found(self, specs: Sequence[SourceSpec]) -> tuple[list[Source], list[Source]]:
        """The sources and the evaluation sets, looked at and not yet read."""
        sizes = self.job.chosen.sizes
        with waiting("looking at the sources …"):
            sources = [gather.find(spec, number, self.duck, sizes=sizes) for number, spec in enumerate(specs)]
            sets = [
                gather.find(spec, number, self.duck, sizes=False, texts=False)
                for number, spec in enumerate(self.job.evaluation)
            ]
        return sources, sets

    def _rows(self, sources: Sequence[Source]) -> Rows:
        tables = [
            gather.read(one, self.engine, self.duck, self.stages, self.registry, workers=self.job.workers)
            for one in sources
        ]
        everything = ibis.union(*tables) if len(tables) > 1 else tables[0]
        several = any(one.table is None or one.table.several for one in sources)
        return Rows(everything, digest_of([one.digest for one in sources] + [self.engine.name]), several)

    def _written(self, told: Report, cleaned: Cleaned, sources: Sequence[Source]) -> Report:
        """Writes all that is asked for, the report last; gives the report as it is then."""
        publish(cleaned.kept.path, self.out / LIST)
        publish(cleaned.dropped.path, self.out / DROPPED)
        if self.job.shard is not None:
            told = self._with_tars(told, cleaned.kept, sources, self.job.shard)
        write_whole(self.out / PAGE, as_page(told).encode("utf-8", "replace"))
        text = json.dumps(told.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_whole(self.out / REPORT, text.encode("utf-8", "replace"))
        return told

    def _with_tars(self, told: Report, listed: Stage, sources: Sequence[Source], size: int) -> Report:
        """Writes the tars; the report with what could not be read for them."""
        done = rewrite(listed.path, sources, self.out / "tars", size, self.registry, digest=listed.digest)
        if not done.missing:
            return told
        note = f"{len(done.missing):,} images could not be read for tars, the first: {done.missing[0]}"
        return replace(told, notes=(*told.notes, note))

    def _thresholds(self) -> Thresholds:
        """What makes near-duplicates. A model is opened before anything is read: it may be the wrong one."""
        job, embedder = self.job, None
        if job.model is not None and job.evaluation:
            with waiting(f"opening {job.model} …"):
                embedder = Embedder(job.model, self.stages.folder / LOOKS)
        return Thresholds(job.radius, embedder, job.min_cosine)

    def _near(self, sources: Sequence[Source], sets: Sequence[Source], by: Thresholds) -> Stage | None:
        if not sets:
            return None
        return near_evaluation(sources, sets, by, self.stages, self.registry, workers=self.job.workers)

    def _counted(self, everything: ir.Table, numbers: Stage) -> list[dict[str, Any]]:
        """By source, what was read; refuses nothing at all."""
        rows = self.engine.rows(counts_read(self.engine.table(numbers.path)))
        if not sum(row["pairs"] for row in rows):
            reasons = self._reasons(everything, 1)
            first = next(iter(reasons.values()), [""])[0]
            raise DataError(
                "no pair of an image and a text is in the sources: "
                + (f"the first that could not be read: {first}" if first else "check their options by vlc data inspect")
            )
        for number, told in self._reasons(everything, _SHOWN).items():
            next(row for row in rows if row["number"] == number)["reasons"] = tuple(told)
        return rows

    def _reasons(self, everything: ir.Table, most: int) -> dict[int, list[str]]:
        bad = everything.filter(everything.reason != "").order_by("number", "row").limit(most)
        found: dict[int, list[str]] = {}
        for row in self.engine.rows(bad.select("number", "row", "reason")):
            found.setdefault(row["number"], []).append(f"sample {row['row']}: {row['reason']}")
        return found

    def _finished(self, cleaned: Cleaned) -> Cleaned:
        """The same with the list and what is dropped as single files, sorted. DuckDB reads them for the report."""
        if self.engine.orderly:
            return cleaned
        texts = "SELECT key, source, row, list(text ORDER BY part) AS texts"
        return cleaned._replace(
            kept=self._joined("list", cleaned.kept, texts, "GROUP BY number, source, row, key ORDER BY number, row"),
            dropped=self._joined(
                "left-out", cleaned.dropped, "SELECT * EXCLUDE (number)", "ORDER BY number, row, part"
            ),
        )

    def _joined(self, name: str, stage: Stage, select: str, order: str) -> Stage:
        def write(path: Path) -> None:
            parts = quoted(f"{as_pattern(str(stage.path))}/*.parquet")
            self.duck.copy(f"{select} FROM read_parquet({parts}) {order}", path, what="sorting")

        return self.stages.make(name, [stage.digest], write)

    def _report(
        self,
        cleaned: Cleaned,
        sources: Sequence[Source],
        read: list[dict[str, Any]],
        near: Stage | None,
    ) -> Report:
        chosen = self.job.chosen
        with waiting("counting …"):
            unknown = sum(row["unknown"] for row in read) if chosen.sizes else 0
            tally = report.tally(self.duck, cleaned)
            return Report(
                digest_of([cleaned.kept.digest, self.job.shard]),
                self.job.engine,
                chosen.as_json() | self.job.nearness(),
                tuple(_source(one, read) for one in sources),
                tally.found,
                tally.kept,
                report.on_rules(self.duck, cleaned, tally),
                () if near is None else told_by(near),
                cleaned.least,
                report.per_image(self.duck, cleaned),
                unknown,
                _notes(sources, unknown, tars=self.job.shard is not None),
            )


def _source(source: Source, read: list[dict[str, Any]]) -> SourceReport:
    row: dict[str, Any] = next((one for one in read if one["number"] == source.number), {})
    return SourceReport(
        source.spec.name,
        source.spec.block,
        int(row.get("pairs", 0)),
        int(row.get("unreadable", 0)),
        int(row.get("without_image", 0)),
        int(row.get("without_text", 0)),
        tuple(source.bad_shards),
        tuple(source.cut_shards),
        row.get("reasons", ()),
    )


def _notes(sources: Sequence[Source], unknown: int, *, tars: bool) -> tuple[str, ...]:
    notes = []
    if unknown:
        notes.append(
            f"{unknown:,} pairs have images of unknown size, which the rules on size keep: "
            "give the table columns width and height"
        )
    inside = [one.spec.name for one in sources if not one.located]
    if inside and not tars:
        notes.append(f"the images of {', '.join(inside)} are no files that {LIST} could name: train on --tars of them")
    return tuple(notes)
