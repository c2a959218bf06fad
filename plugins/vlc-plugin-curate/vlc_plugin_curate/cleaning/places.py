"""The rules that drop something as bits of one number: a rule's bit is its place among those that are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.rules import Rule

BITS = "bits"
"""The column with them."""


def bits(flags: Mapping[str, ir.BooleanValue], rules: Sequence[Rule]) -> ir.IntegerValue:
    """The flags by the names of rules as one number; a rule's bit is its place."""
    total: ir.IntegerValue = ibis.literal(0, "int32")
    for place, rule in enumerate(rules):
        if rule.name in flags:
            total = total + flags[rule.name].cast("int32") * (1 << place)
    return total.cast("int32")


def has(bits_of: ir.IntegerValue, place: int) -> ir.BooleanValue:
    """Whether the rule at ``place`` drops it."""
    return (bits_of & (1 << place)) != 0


def marks(bits_of: ir.IntegerValue, rules: Sequence[Rule]) -> ir.IntegerValue:
    """The bits of a pair; above them that of the first rule alone; and above those one for a pair that is kept."""
    first = (bits_of & -bits_of) * (1 << len(rules))
    return ibis.cases((bits_of == 0, ibis.literal(1 << 2 * len(rules), "int32")), else_=(bits_of + first).cast("int32"))
