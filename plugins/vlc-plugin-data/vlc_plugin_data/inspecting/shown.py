"""A report in words: the rows of the tables that the terminal and the page have in common."""

from __future__ import annotations

from collections.abc import Sequence

from vlc_core.terminal import count
from vlc_plugin_data.inspecting.report import Measure, Named, Report
from vlc_plugin_data.inspecting.shards import spoken
from vlc_plugin_data.inspecting.spread import Bar

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WHOLE = 10

HEADS = {
    "least": "minimum",
    "5 %": "low",
    "median": "median",
    "mean": "mean",
    "95 %": "high",
    "greatest": "maximum",
}
"""What the figures of a spread are called in tables."""


def facts_of(report: Report) -> dict[str, str]:
    """The counts, by what they count; what is nought and says nothing is left out."""
    how = "every pixel decoded" if report.decoded else "headers only; --decode finds files that are cut short"
    lines = {"read as": report.spec} | ({"note": report.note} if report.note else {})
    lines |= spoken(report.shards) if report.shards is not None else {}
    lines |= {
        "samples": f"{report.samples:,}",
        "examined": f"{report.examined:,} ({how})",
        "broken": _share(len(report.broken), report.examined),
        "formats": ", ".join(f"{name} {number:,}" for name, number in report.formats.items()) or "none",
    }
    lines |= _about_captions(report) | _about_classes(report)
    if report.duplicate_keys:
        lines["duplicate keys"] = f"{len(report.duplicate_keys):,} keys on several samples"
    if report.identical_files:
        lines["identical files"] = f"{report.identical_files:,} byte for byte like an earlier one"
    return lines


def _about_captions(report: Report) -> dict[str, str]:
    concepts = report.concepts.get("caption")
    if concepts is None and not report.empty_captions:
        return {"captions": "none"}
    distinct = 0 if concepts is None else concepts.distinct
    lines = {"captions": f"{report.captions:,} on {report.captioned:,} samples, {distinct:,} distinct"}
    lines["without caption"] = _share(len(report.without_caption), report.sound)
    if report.empty_captions:
        lines["empty captions"] = f"{report.empty_captions:,}"
    if report.garbled_captions:
        lines["garbled captions"] = f"{report.garbled_captions:,} with bytes that are no UTF-8"
    return lines


def _about_classes(report: Report) -> dict[str, str]:
    if report.classes is None:
        return {"classes": "none"}
    there = report.concepts["class"].distinct
    unlabelled = report.sound - report.labelled
    more = f", {unlabelled:,} samples without label" if unlabelled else ""
    less = f", {len(report.classes) - there:,} of them without image" if there < len(report.classes) else ""
    return {"classes": f"{len(report.classes):,}{less}{more}"}


def measures_of(report: Report) -> dict[str, Measure]:
    """The measures by name, with the images of each concept."""
    per_concept = {f"images per {kind}": concepts.images for kind, concepts in report.concepts.items()}
    return {name: measure for name, measure in (report.measures | per_concept).items() if measure.spread is not None}


def number(value: float) -> str:
    """``value`` as people read it: whole, or with the digits that matter."""
    if value.is_integer() or abs(value) >= 1_000:
        return count(round(value))
    return f"{value:.1f}" if abs(value) >= _WHOLE else f"{value:.2f}"


def spread_row(name: str, measure: Measure, heads: Sequence[str] = tuple(HEADS)) -> tuple[str, ...]:
    """The name of a measure and those of its figures that stand under ``heads``."""
    return (name, *(number(getattr(measure.spread, HEADS[head])) for head in heads))


def sparkline(bars: Sequence[Bar]) -> str:
    """A histogram as a line of blocks: a bar with anything in it shows."""
    highest = max((bar.values for bar in bars), default=0)
    return "".join(_BLOCKS[-(-bar.values * (len(_BLOCKS) - 1) // highest)] for bar in bars) if highest else ""


def largest(named: Sequence[Named], most: int) -> list[Named]:
    """The most frequent first; of equal ones, in their own order."""
    return sorted(named, key=lambda one: -one.samples)[:most]


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if part and whole else f"{part:,}"
