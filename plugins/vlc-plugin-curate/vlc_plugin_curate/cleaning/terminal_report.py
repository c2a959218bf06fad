"""The report for the terminal."""

from __future__ import annotations

from pathlib import Path

from vlc_core.terminal import bold, dim, table
from vlc_plugin_curate.cleaning.near_rule import NearReport
from vlc_plugin_curate.cleaning.page import share
from vlc_plugin_curate.cleaning.report import Report

_NEAR_HEADS = ("evaluation set", "images", "unreadable", "plain", "samples near", "by hash", "by model alone")


def as_text(report: Report, out: Path, *, tars: bool) -> str:
    """The figures, what was left out of the sources, and where everything is."""
    found, kept = report.found, report.kept
    head = f"{kept.pairs:,} of {found.pairs:,} pairs kept ({share(kept.pairs, found.pairs)})"
    more = f"{kept.images:,} of {found.images:,} images, {kept.texts:,} of {found.texts:,} texts"
    rows = [
        (rule.name, f"{rule.first.pairs:,}", f"{rule.alone.pairs:,}", f"{rule.alone.images:,}", rule.drops)
        for rule in report.rules
    ]
    parts = [f"{bold(head)}\n{more}\n"]
    if rows:
        heads = ("rule", "first to drop", "by itself", "images", "drops")
        parts.append(table(heads, rows, right=heads[1:4]))
    if report.near:
        parts.append(table(_NEAR_HEADS, [_near_row(one) for one in report.near], right=_NEAR_HEADS[1:]))
    parts += [f"{line}\n" for line in (*_left_out(report), *report.notes)]
    named = [out / "list.parquet", out / "report.html", *([out / "tars"] if tars else [])]
    parts.append(dim(f"written to {', '.join(map(str, named))}"))
    return "\n".join(parts)


def _near_row(one: NearReport) -> tuple[str, ...]:
    counts = (one.images, one.unreadable, one.flat, one.found, one.by_looks)
    return (one.name, *(f"{count:,}" for count in counts), "–" if one.by_model is None else f"{one.by_model:,}")


def _left_out(report: Report) -> list[str]:
    lines = []
    for one in report.sources:
        if one.bad_shards:
            lines.append(f"{one.name}: {len(one.bad_shards):,} shards left out, the first because {one.bad_shards[0]}")
        if one.unreadable:
            lines.append(f"{one.name}: {one.unreadable:,} samples unreadable, the first: {one.reasons[0]}")
        if one.without_image:
            lines.append(f"{one.name}: rows without image: {one.without_image:,}")
        if one.without_text:
            lines.append(f"{one.name}: samples without text: {one.without_text:,}")
    return lines
