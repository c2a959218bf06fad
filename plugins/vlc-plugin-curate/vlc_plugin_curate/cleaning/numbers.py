"""Pairs as numbers: an image and a text are 64 bits each, and the rules that drop them are bits of one more.

What asks about all pairs at once - how many images share a text, how many texts an image has, what each rule dropped -
reads this table of numbers, and names and texts themselves only once more, when they are written.

Two texts never share a number, which is looked at (see :mod:`.hashing`). Two images might, and would then be taken for
one: among a billion images with the chance of one in forty.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir

from vlc_plugin_curate.cleaning import images
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.places import BITS, bits
from vlc_plugin_curate.cleaning.rules import Rule

IMAGE, TEXT = "image", "id"
"""The columns with the hash of an image's name and that of a text."""


def identified(engine: Engine, value: ir.StringValue, salt: str) -> ir.IntegerValue:
    """A number for ``value``: another one for every text, with the right ``salt``."""
    return engine.hashed(value + salt if salt else value)


def judged(rows: ir.Table) -> ir.Table:
    """The rows of all sources that are pairs: they can be read, and have an image and a text."""
    return rows.filter((rows.reason == "") & rows.text.notnull() & (rows.key != ""))


def as_numbers(engine: Engine, rows: ir.Table, chosen: Filter, rules: Sequence[Rule], salt: str) -> ir.Table:
    """All rows as numbers: :data:`IMAGE`, :data:`TEXT`, :data:`BITS` of the rules on size, and what they lack.

    Args:
        engine: Where.
        rows: Of all sources.
        chosen: The thresholds.
        rules: Those that are asked.
        salt: Behind names and texts.
    """
    return rows.select(
        "number",
        bad=rows.reason != "",
        named=rows.key != "",
        spoken=rows.text.notnull(),
        sized=rows.width.notnull(),
        **{IMAGE: identified(engine, rows.key, salt), TEXT: identified(engine, rows.text, salt)},
        **{BITS: bits(images.of_size(rows, chosen), rules)},
    )


def pairs_of(numbers: ir.Table) -> ir.Table:
    """The same rows of :func:`as_numbers` as :func:`judged` has of the sources."""
    return numbers.filter(_is_pair(numbers))


def counts_read(numbers: ir.Table) -> ir.Table:
    """By source, how many rows are pairs, and what the others lack."""
    bad, named, spoken = numbers.bad, numbers.named, numbers.spoken
    return numbers.group_by("number").agg(
        pairs=numbers.count(where=_is_pair(numbers)),
        unreadable=numbers.count(where=bad),
        without_image=numbers.count(where=~bad & ~named),
        without_text=numbers.count(where=~bad & ~spoken),
        unknown=numbers.count(where=_is_pair(numbers) & ~numbers.sized),
    )


def _is_pair(numbers: ir.Table) -> ir.BooleanValue:
    return ~numbers.bad & numbers.named & numbers.spoken
