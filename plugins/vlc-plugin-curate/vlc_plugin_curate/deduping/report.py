"""What was found in words and as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_curate.deduping.groups import Groups
from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.page import Grid, Page, Shown, show
from vlc_plugin_curate.near.sources import Sources

UNREADABLE_LISTED = 100
_IN_A_GROUP = 12


@dataclass(frozen=True, slots=True)
class Found:
    """The copies in some sources.

    Attributes:
        sources: Where.
        prints: Their fingerprints.
        groups: Which are copies of which.
        how: The options that this was found with.
    """

    sources: Sources
    prints: Fingerprints
    groups: Groups
    how: dict[str, Any]

    def counts(self) -> dict[str, int]:
        """How many images there are, of each kind."""
        rows, dropped = self.prints.rows, self.groups.dropped_rows
        kept = rows[self.groups.kept[dropped]]
        same_bytes = (rows["digest"][dropped] == kept["digest"]).all(axis=1)
        same_texts = rows["texts"][dropped] == kept["texts"]
        return {
            "images": len(rows),
            "kept": len(self.groups.kept_rows),
            "dropped": len(dropped),
            "dropped_same_bytes_and_texts": int((same_bytes & same_texts).sum()),
            "dropped_same_bytes": int((same_bytes & ~same_texts).sum()),
            "dropped_alike": int((~same_bytes).sum()),
            "groups": len(np.unique(self.groups.kept[dropped])),
            "flat": self.prints.flat,
            "unreadable": len(self.prints.unreadable),
        }

    def by_source(self) -> list[dict[str, Any]]:
        """The same of each source, in short."""
        kept, dropped, told = self.groups.kept_rows, self.groups.dropped_rows, []
        for number, spec in enumerate(self.sources.specs):
            start, stop = self.sources.starts[number], self.sources.starts[number + 1]
            told.append(
                {
                    "name": spec.name,
                    "read_as": spec.block,
                    "images": int(stop - start),
                    "kept": _between(kept, start, stop),
                    "dropped": _between(dropped, start, stop),
                    "unreadable": sum(int(start) <= one.number < int(stop) for one in self.prints.unreadable),
                }
            )
        return told

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "options": self.how,
            **self.counts(),
            "sources": self.by_source(),
            "unreadable_images": [
                {**self._place(one.number), "key": one.key, "reason": one.reason}
                for one in self.prints.unreadable[:UNREADABLE_LISTED]
            ],
            "copies": [
                {"kept": self._place(head), "dropped": [self._copy(row) for row in copies.tolist()]}
                for head, copies in self.groups.groups()
            ],
        }

    def _copy(self, row: int) -> dict[str, Any]:
        cosine = float(self.groups.cosine[row])
        more = {} if math.isnan(cosine) else {"cosine": round(cosine, 4)}
        return self._place(row) | {"distance": int(self.groups.distance[row])} | more

    def _place(self, index: int) -> dict[str, Any]:
        source, row = self.sources.place(index)
        return {"source": self.sources.specs[source].name, "row": row}

    def facts(self) -> dict[str, str]:
        """The counts as people read them; what is nought and says nothing is left out."""
        found = self.counts()
        facts = {
            "images": f"{found['images']:,}",
            "kept": _share(found["kept"], found["images"]),
            "dropped": _share(found["dropped"], found["images"]),
            "… same file and texts": f"{found['dropped_same_bytes_and_texts']:,}",
            "… same file": f"{found['dropped_same_bytes']:,}, with other texts",
            "… look alike": f"{found['dropped_alike']:,}",
            "groups": f"{found['groups']:,}",
        }
        if found["flat"]:
            facts["plain"] = f"{found['flat']:,} of nearly one colour: copies only where files are the same"
        if found["unreadable"]:
            facts["unreadable"] = f"{found['unreadable']:,}, the first because {self.prints.unreadable[0].reason}"
        return facts

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each source: name, images, kept, dropped, unreadable."""
        names = ("images", "kept", "dropped", "unreadable")
        return [(one["name"], *(f"{one[name]:,}" for name in names)) for one in self.by_source()]

    def page(self, examples: int) -> Page:
        """The page, with the largest groups."""
        groups = self.groups.groups()
        shown = [self._shown(head, copies.tolist()) for head, copies in groups[:examples]]
        title = f"{len(self.groups.dropped_rows):,} copies in {self.sources.name}"
        grids = [Grid("Sources", SOURCE_HEADS, self.rows())] if len(self.sources.specs) > 1 else []
        return Page(title, "vlc data dedupe", self.facts(), grids, shown, len(groups) - len(shown))

    def _shown(self, head: int, copies: list[int]) -> list[Shown]:
        some = copies[: _IN_A_GROUP - 1]
        more = f"and {len(copies) - len(some):,} more copies" if len(copies) > len(some) else ""
        return [self._one(head, "kept", more), *(self._one(row, "dropped", self._note(row)) for row in some)]

    def _one(self, index: int, what: str, note: str) -> Shown:
        source, row = self.sources.place(index)
        where = self.sources.specs[source].name if len(self.sources.specs) > 1 else ""
        return show(self.sources.datasets[source], row, what=what, where=where, note=note)

    def _note(self, row: int) -> str:
        rows = self.prints.rows
        if np.array_equal(rows["digest"][row], rows["digest"][self.groups.kept[row]]):
            return "the same file"
        cosine = self.groups.cosine[row]
        return f"{self.groups.distance[row]} bits" + ("" if np.isnan(cosine) else f", cosine {cosine:.3f}")


SOURCE_HEADS = ("source", "images", "kept", "dropped", "unreadable")


def _between(rows: NDArray[np.int64], start: int, stop: int) -> int:
    return int(((rows >= start) & (rows < stop)).sum())


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if part else "0"
