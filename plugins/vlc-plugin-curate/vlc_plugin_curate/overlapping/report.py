"""An overlap study as tables, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.page import Grid, Page, Shown, show
from vlc_plugin_curate.near.sources import Sources
from vlc_plugin_curate.overlapping.statistics import Comparison, Subset
from vlc_plugin_curate.overlapping.study import Overlap

OVERLAP_HEADS = ("evaluated on", "images", "overlap", "share", "pairs", "unreadable")
RUN_HEADS = ("evaluated on", "samples", "all", "overlap", "clean", "all − clean")
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Study:
    """What was found.

    Attributes:
        train: The training images.
        prints: Their fingerprints.
        overlaps: One for each evaluation set.
        how: The options that this was found with.
    """

    train: Sources
    prints: Fingerprints
    overlaps: Sequence[Overlap]
    how: dict[str, Any]

    def facts(self) -> dict[str, str]:
        """Of the training images."""
        facts = {"training images": f"{len(self.prints):,} in {self.train.name}"}
        if self.prints.flat:
            facts["plain"] = f"{self.prints.flat:,} of nearly one colour, which are not compared"
        if self.prints.unreadable:
            facts["unreadable"] = (
                f"{len(self.prints.unreadable):,}, the first because {self.prints.unreadable[0].reason}"
            )
        return facts

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each evaluation set, under :data:`OVERLAP_HEADS`."""
        return [
            (
                one.name,
                f"{one.prints.readable:,}",
                f"{int(one.overlaps.sum()):,}",
                _percent(one.overlaps.sum() / max(1, one.prints.readable)),
                f"{len(one.train):,}",
                f"{len(one.prints) - one.prints.readable:,}",
            )
            for one in self.overlaps
        ]

    def runs(self) -> dict[str, list[tuple[str, ...]]]:
        """By run, a line for each evaluation set, under :data:`RUN_HEADS`, the interval and p."""
        names = dict.fromkeys(run for one in self.overlaps for run in one.comparisons)
        return {run: [_run_row(one.name, one.comparisons[run]) for one in self.overlaps] for run in names}

    def grids(self) -> list[Grid]:
        """All tables."""
        grids = [Grid("Overlap", OVERLAP_HEADS, self.rows())]
        for run, rows in self.runs().items():
            heads = (*RUN_HEADS, f"{100 * self.how['confidence']:g} % interval", "p")
            grids.append(Grid(f"{run}: zero-shot accuracy, differences in points", heads, rows))
        return grids

    def as_json(self) -> dict[str, Any]:
        """All of it, every pair among that."""
        return {
            "options": self.how,
            "train": {
                "name": self.train.name,
                "images": len(self.prints),
                "flat": self.prints.flat,
                "unreadable": len(self.prints.unreadable),
            },
            "evaluated": [self._json(one) for one in self.overlaps],
        }

    def _json(self, one: Overlap) -> dict[str, Any]:
        return {
            "name": one.name,
            "images": one.prints.readable,
            "flat": one.prints.flat,
            "unreadable": len(one.prints) - one.prints.readable,
            "overlap": int(one.overlaps.sum()),
            "share": float(one.overlaps.sum() / max(1, one.prints.readable)),
            "runs": {run: _comparison_json(comparison) for run, comparison in one.comparisons.items()},
            "pairs": [self._pair_json(one, pair) for pair in range(len(one.train))],
        }

    def _pair_json(self, one: Overlap, pair: int) -> dict[str, Any]:
        source, row = self.train.place(int(one.train[pair]))
        told: dict[str, Any] = {"evaluated_row": int(one.evaluated[pair]), "train_row": row}
        told |= {"train_source": self.train.specs[source].name, "distance": int(one.distance[pair])}
        return told if one.cosine is None else told | {"cosine": round(float(one.cosine[pair]), 4)}

    def page(self, examples: int) -> Page:
        """The page, with the nearest pairs of every evaluation set."""
        pairs = [(one, pair) for one in self.overlaps for pair in one.pairs()]
        each = -(-examples // max(1, len(self.overlaps)))
        shown = [list(self._shown(one, pair)) for one in self.overlaps for pair in list(one.pairs())[:each]]
        title = f"Evaluation images among {len(self.prints):,} training images"
        return Page(title, "vlc data overlap", self.facts(), self.grids(), shown, len(pairs) - len(shown))

    def _shown(self, one: Overlap, pair: int) -> Iterator[Shown]:
        yield show(one.data, int(one.evaluated[pair]), what="evaluated", where=one.name)
        source, row = self.train.place(int(one.train[pair]))
        note = f"{one.distance[pair]} bits" + ("" if one.cosine is None else f", cosine {one.cosine[pair]:.3f}")
        yield show(self.train.datasets[source], row, what="trained on", where=self.train.specs[source].name, note=note)


def _run_row(name: str, found: Comparison) -> tuple[str, ...]:
    interval = found.difference_interval
    return (
        name,
        f"{found.all.samples:,}",
        _accuracy(found.all),
        _accuracy(found.overlap),
        _accuracy(found.clean),
        _points(found.difference),
        _NONE if interval is None else f"{_points(interval[0])} … {_points(interval[1])}",
        _NONE if found.p_value is None else f"{found.p_value:.3g}",
    )


def _comparison_json(found: Comparison) -> dict[str, Any]:
    subsets = {"all": found.all, "overlap": found.overlap, "clean": found.clean}
    told: dict[str, Any] = {
        name: {"samples": one.samples, "right": one.right, "accuracy": one.accuracy} for name, one in subsets.items()
    }
    return told | {
        "contamination": found.contamination,
        "all_minus_clean": found.difference,
        "all_minus_clean_interval": found.difference_interval,
        "overlap_interval": found.overlap_interval,
        "confidence": found.confidence,
        "p_value": found.p_value,
    }


def _accuracy(subset: Subset) -> str:
    return _NONE if subset.accuracy is None else _percent(subset.accuracy)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float | None) -> str:
    """In percentage points, with its sign."""
    return _NONE if difference is None else f"{100 * difference:+.2f}"
