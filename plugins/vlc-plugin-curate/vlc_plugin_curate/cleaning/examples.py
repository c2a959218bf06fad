"""Some of the pairs that each rule drops, from all over the data, and the same every time."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.pipeline import Cleaned
from vlc_plugin_curate.cleaning.rules import Rule

EXAMPLES = 8
"""Of each rule."""

# Primes: a pair's place among examples has nothing to do with where it stands, nor with that of its row's other texts.
_ROW, _PART, _PLACES = 7919, 31_337, 100_003
_SOME = 8192


class Example(NamedTuple):
    """A pair that a rule drops."""

    key: str
    text: str


@final
class Examples:
    """The first pairs of each rule by their places: those that no rule before it drops, then others.

    One look at the pairs of the lowest places of all finds those of most rules; a rule that drops few pairs is asked
    for them by itself.

    Args:
        engine: Reads the stages.
        cleaned: What came out.
        dropped: How many pairs are dropped.
    """

    def __init__(self, engine: Engine, cleaned: Cleaned, dropped: int) -> None:
        self._engine = engine
        self._dropped = engine.table(cleaned.dropped.path)
        self._some: list[dict[str, Any]] = []
        if dropped:
            below = max(1, _PLACES * _SOME // dropped)
            placed = self._dropped.mutate(place=_place(self._dropped))
            self._some = engine.rows(placed.filter(placed.place < below))

    def of(self, rule: Rule, first: int, alone: int) -> tuple[Example, ...]:
        """Those of ``rule``.

        Args:
            rule: One that was asked.
            first: How many pairs it is the first to drop.
            alone: How many it drops.
        """
        mine = [row for row in self._some if row[rule.name]]
        led = sum(row["rule"] == rule.name for row in mine)
        if led < min(first, EXAMPLES) or (first < EXAMPLES and len(mine) < min(alone, EXAMPLES)):
            return self._asked(rule)
        mine.sort(key=lambda row: (row["rule"] != rule.name, row["place"], row["source"], row["row"], row["part"]))
        return tuple(Example(row["key"], row["text"]) for row in mine[:EXAMPLES])

    def _asked(self, rule: Rule) -> tuple[Example, ...]:
        mine = self._dropped.filter(self._dropped[rule.name])
        order = (ibis.desc(mine.rule == rule.name), _place(mine), "source", "row", "part")
        some = mine.order_by(*order).limit(EXAMPLES)
        return tuple(Example(row["key"], row["text"]) for row in self._engine.rows(some.select("key", "text")))


def _place(pairs: ir.Table) -> ir.IntegerValue:
    return (pairs.row * _ROW + pairs.part * _PART) % _PLACES
