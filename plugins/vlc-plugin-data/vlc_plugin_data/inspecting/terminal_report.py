"""A report for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from vlc_core.terminal import bold, dim, listing, table
from vlc_plugin_data.inspecting.report import Broken, Named, Report
from vlc_plugin_data.inspecting.shown import facts_of, largest, measures_of, sparkline, spread_row

ROWS = 10
"""Of lists that may be long; the page and the JSON have more."""

_BAR = 30
_HEADS = ("least", "median", "mean", "greatest")  # more would not fit into 80 columns


def as_text(report: Report) -> str:
    """The whole report."""
    parts = [bold(one_line(report.name)), listing({name: one_line(text) for name, text in facts_of(report).items()})]
    measures = measures_of(report)
    if measures:
        rows = [(*spread_row(name, one, _HEADS), sparkline(one.bars)) for name, one in measures.items()]
        parts.append(table(("measure", *_HEADS, "histogram"), rows, right=_HEADS))
    parts += _classes(report) + _captions(report)
    if report.broken:
        parts.append(_listed("broken", [_broken_row(one) for one in report.broken], ("sample", "key", "why")))
    if report.without_caption:
        parts.append(_listed("without caption", [(one_line(key),) for key in report.without_caption], ("key",)))
    if report.duplicate_keys:
        parts.append(_listed("duplicate keys", _named_rows(report.duplicate_keys), ("key", "samples")))
    return "\n".join(parts)


def one_line(text: str) -> str:
    """``text`` without line breaks or anything else that would move the cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _classes(report: Report) -> list[str]:
    if not report.classes:
        return []
    shown = largest(report.classes, ROWS)
    most = max(1, shown[0].samples)
    rows = [(one_line(one.name), f"{one.samples:,}", "█" * round(_BAR * one.samples / most)) for one in shown]
    title = f"the {len(shown)} largest of {len(report.classes):,} classes" if len(report.classes) > ROWS else "classes"
    return [table(("class", "images", ""), rows, title=title, right=("images",))]


def _captions(report: Report) -> list[str]:
    concepts = report.concepts.get("caption")
    if concepts is None or not concepts.common:
        return []
    title = "captions of several images" + (", the most frequent" if len(concepts.common) > ROWS else "")
    return [
        table(
            ("images", "caption"),
            [(n, c) for c, n in _named_rows(concepts.common)[:ROWS]],
            title=title,
            right=("images",),
        )
    ]


def _named_rows(named: Sequence[Named]) -> list[tuple[str, str]]:
    return [(one_line(one.name), f"{one.samples:,}") for one in named]


def _broken_row(one: Broken) -> tuple[str, str, str]:
    return str(one.sample), one_line(one.key), one_line(one.reason)


def _listed(title: str, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...]) -> str:
    text = table(columns, rows[:ROWS], title=title)
    return text + dim(f"… and {len(rows) - ROWS:,} more\n") if len(rows) > ROWS else text
