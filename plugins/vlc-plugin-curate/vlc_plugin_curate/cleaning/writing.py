"""What is written in the end: what came of all pairs, as numbers, those that are dropped, and those that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning import images
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.numbers import IMAGE, TEXT, identified
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.places import BITS, bits, has, marks
from vlc_plugin_curate.cleaning.rules import Rule

_OF = {IMAGE: "key", TEXT: "text"}
_COLUMNS = ("number", "source", "row", "part", "key", "text")


class By(NamedTuple):
    """What pairs are judged by.

    Attributes:
        engine: Where.
        chosen: The thresholds.
        rules: Those that are asked, in order.
        salt: Behind names and texts.
        several: Whether a row may have several texts.
    """

    engine: Engine
    chosen: Filter
    rules: tuple[Rule, ...]
    salt: str
    several: bool


def judged(pairs: ir.Table, bad: Mapping[str, ir.Table], by: By) -> ir.Table:
    """Columns :data:`IMAGE`, :data:`TEXT` and ``marks``, as :func:`.places.marks` has them.

    Args:
        pairs: All of them as numbers.
        bad: By :data:`IMAGE` or :data:`TEXT`, those that are dropped and the bits of the rules.
        by: The rest.
    """
    told = _told(pairs, bad)
    return told.select(IMAGE, TEXT, marks=marks(told[BITS], by.rules))


def dropped(pairs: ir.Table, bad: Mapping[str, ir.Table], by: By) -> ir.Table:
    """The pairs that are dropped, with a boolean by the name of each rule and the first in ``rule``, in order.

    Args:
        pairs: All of them.
        bad: As of :func:`judged`.
        by: The rest.
    """
    names = {name: identified(by.engine, pairs[_OF[name]], by.salt) for name in bad}
    own = bits(images.of_size(pairs, by.chosen), by.rules)
    told = _told(pairs.select(*_COLUMNS, **names, **{BITS: own}), bad)
    some = told.filter(told[BITS] != 0)
    flags = {rule.name: has(some[BITS], place) for place, rule in enumerate(by.rules)}
    first: ir.StringValue = ibis.literal("")
    if flags:
        first = ibis.cases(*((flag, name) for name, flag in flags.items()), else_="")
    return _in_order(some.select(*_COLUMNS, **flags, rule=first), by, "row", "part")


def kept(pairs: ir.Table, bad: Mapping[str, ir.Table], by: By) -> ir.Table:
    """The rows that are kept in order: ``key``, ``source``, ``row`` and ``texts``.

    An engine that keeps no order leaves a row for each text, with ``number`` and ``part`` to sort by.

    Args:
        pairs: All of them.
        bad: As of :func:`judged`.
        by: The rest.
    """
    flags = images.of_size(pairs, by.chosen)
    if flags:
        pairs = pairs.filter(~ibis.or_(*flags.values()))
    left = pairs.select(*_COLUMNS, **{name: identified(by.engine, pairs[_OF[name]], by.salt) for name in bad})
    for name, table in bad.items():
        left = left.anti_join(table, name)
    if not by.engine.orderly:
        return left.select(*_COLUMNS)
    rows = left.select("number", "source", "row", "key", texts=ibis.array([left.text]))
    if by.several:
        texts = left.text.collect(order_by=left.part)
        rows = left.group_by("number", "source", "row", "key").agg(texts=texts)
    return _in_order(rows.select("key", "source", "row", "texts", "number"), by, "row")


def _told(pairs: ir.Table, bad: Mapping[str, ir.Table]) -> ir.Table:
    """``pairs`` with all bits: those that they have, and those of their texts and images. No two are the same."""
    total: ir.IntegerValue = pairs[BITS]
    told = pairs
    for name, table in bad.items():
        column = f"{BITS}_{name}"
        joined = told.left_join(table.select(name, **{column: table[BITS]}), name)
        told = joined.select(*told.columns, column)
    for name in bad:
        total = total + told[f"{BITS}_{name}"].fill_null(0)
    kept_columns = [name for name in pairs.columns if name != BITS]
    return told.select(*kept_columns, **{BITS: total.cast("int32")})


def _in_order(table: ir.Table, by: By, *columns: str) -> ir.Table:
    """Sorted by source and row: a join leaves rows in the order in which threads come by them."""
    if not by.engine.orderly:
        return table  # it is sorted when its parts are joined
    return table.order_by("number", *columns).drop("number")
