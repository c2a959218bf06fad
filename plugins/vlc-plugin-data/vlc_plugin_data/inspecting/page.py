"""Reports and contact sheets as one page: no script, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vlc_plugin_data.inspecting.report import Measure, Report
from vlc_plugin_data.inspecting.sheet import Thumbnail
from vlc_plugin_data.inspecting.shown import HEADS, facts_of, largest, measures_of, number, spread_row
from vlc_plugin_data.pages import template

WIDTH, HEIGHT = 300, 84
"""Of a histogram, in the units of its drawing."""

CLASSES = 40
"""Classes that are shown at once; the others unfold."""

ROWS = 200
"""Of lists that may be long; the JSON has all."""

_GAP, _LEAST = 1.0, 1.5


class Column(NamedTuple):
    """One bar of a histogram, in the units of its drawing, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Chart(NamedTuple):
    """A histogram.

    Attributes:
        name: What is counted.
        columns: Its bars.
        first: Where the axis begins.
        last: Where it ends.
        highest: The count of the highest bar.
    """

    name: str
    columns: tuple[Column, ...]
    first: str
    last: str
    highest: str


def as_page(inspected: Sequence[tuple[Report, Sequence[Thumbnail]]]) -> str:
    """The page as HTML; it stands for itself, without any other file."""
    sections = [
        {
            "report": report,
            "facts": facts_of(report),
            "charts": [chart(name, measure) for name, measure in measures_of(report).items() if len(measure.bars) > 1],
            "spreads": [spread_row(name, measure) for name, measure in measures_of(report).items()],
            "classes": largest(report.classes or (), len(report.classes or ())),
            "sheet": sheet,
        }
        for report, sheet in inspected
    ]
    return template(__file__).render(
        sections=sections, width=WIDTH, height=HEIGHT, classes_shown=CLASSES, rows=ROWS, heads=HEADS
    )


def chart(name: str, measure: Measure) -> Chart:
    """The drawing of a measure's histogram."""
    highest = max(bar.values for bar in measure.bars)
    step = WIDTH / len(measure.bars)
    columns = []
    for place, (bar, title) in enumerate(zip(measure.bars, ranges(measure), strict=True)):
        # A bar with anything in it shows, however high the highest is.
        height = max(_LEAST, HEIGHT * bar.values / highest) if bar.values else 0.0
        drawn = Column(place * step, HEIGHT - height, max(step - _GAP, 0.5), height, f"{title}: {bar.values:,}")
        columns.append(drawn)
    first, last = measure.bars[0], measure.bars[-1]
    tail = last.high - last.low > 2 * (first.high - first.low)
    end = ranges(measure)[-1] if tail else ranges(measure)[-1].rpartition(" – ")[2]
    return Chart(name, tuple(columns), number(first.low), end, f"{highest:,}")


def ranges(measure: Measure) -> list[str]:
    """What each bar of a histogram stands for: ``7``, ``7 – 9``, ``0.50 – 0.75``."""
    assert measure.spread is not None
    whole = all(bar.low.is_integer() for bar in measure.bars)
    tops = [bar.high - 1 if whole else bar.high for bar in measure.bars[:-1]]
    ends = [
        (number(bar.low), number(top)) for bar, top in zip(measure.bars, [*tops, measure.spread.maximum], strict=True)
    ]
    return [low if low == top else f"{low} – {top}" for low, top in ends]
