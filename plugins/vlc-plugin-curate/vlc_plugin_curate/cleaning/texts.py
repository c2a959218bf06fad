"""What the rules ask of texts: each different one is looked at once, however many images it has."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.grams import words_in
from vlc_plugin_curate.cleaning.numbers import identified
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.places import BITS, bits
from vlc_plugin_curate.cleaning.rules import Rule
from vlc_plugin_curate.cleaning.words import spaced


def different_texts(engine: Engine, pairs: ir.Table, salt: str) -> ir.Table:
    """Columns ``text``, ``id`` (its hash), ``n`` (pairs that have it) and ``words``, null where it is them already."""
    found = pairs.group_by("text").agg(n=pairs.count())
    words = spaced(found.text, engine.group).nullif(found.text)
    return found.mutate(id=identified(engine, found.text, salt), words=words)


def shared(numbers: ir.Table, texts: ir.Table, most: int) -> ir.Table:
    """The texts of more than ``most`` different images: column ``id``, each once.

    Args:
        numbers: Columns ``image`` and ``id`` (of the text).
        texts: Of :func:`different_texts`.
        most: The threshold.
    """
    often = texts.filter(texts.n > most).select("id")
    some = numbers.select("image", "id").semi_join(often, "id")
    counted = some.group_by("id").agg(images=some.image.nunique())
    return counted.filter(counted.images > most).select("id")


def bad_texts(texts: ir.Table, found: dict[str, ir.Table], chosen: Filter, rules: Sequence[Rule]) -> ir.Table:
    """The texts that a rule drops: ``id``, and the bits of those rules.

    Args:
        texts: Of :func:`different_texts`.
        found: By rule, the ``id`` of each text that it drops, where that took counting.
        chosen: The lengths.
        rules: Those that are asked, in order.
    """
    many = ibis.cases((ibis.coalesce(texts.words, texts.text) == "", 0), else_=words_in(texts).length())
    told = texts.select("id", count=many)
    for name, table in found.items():
        one = table.select("id", **{name: ibis.literal(True)})
        joined = told.left_join(one, "id")
        told = joined.select(*told.columns, name)
    flags = {name: told[name].fill_null(False) for name in found}
    if chosen.min_words is not None:
        flags["short"] = told["count"] < chosen.min_words
    if chosen.max_words is not None:
        flags["long"] = told["count"] > chosen.max_words
    marked = told.select("id", **{BITS: bits(flags, rules)})
    return marked.filter(marked[BITS] != 0)
