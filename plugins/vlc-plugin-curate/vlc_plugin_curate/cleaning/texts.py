"""What the rules ask of texts: each different one is looked at once, however many images it has."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.grams import words_in
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.words import spaced


def different_texts(engine: Engine, pairs: ir.Table) -> ir.Table:
    """Columns ``text``, ``n`` (pairs that have it) and ``words``: the text as words, null where that is how it is."""
    found = pairs.group_by("text").agg(n=pairs.count())
    return found.mutate(words=spaced(found.text, engine.group).nullif(found.text))


def shared(pairs: ir.Table, texts: ir.Table, most: int) -> ir.Table:
    """The texts of more than ``most`` different images: column ``text``, each once."""
    often = texts.filter(texts.n > most).select("text")
    some = pairs.select("key", "text").semi_join(often, "text")
    counted = some.group_by("text").agg(images=some.key.nunique())
    return counted.filter(counted.images > most).select("text")


def bad_texts(texts: ir.Table, found: dict[str, ir.Table], chosen: Filter) -> ir.Table:
    """The texts that a rule drops: ``text``, and a boolean by the name of each rule.

    Args:
        texts: Of :func:`different_texts`.
        found: By rule, the texts that it drops, where that took counting.
        chosen: The lengths.
    """
    many = ibis.cases((ibis.coalesce(texts.words, texts.text) == "", 0), else_=words_in(texts).length())
    told = texts.select("text", count=many)
    for name, table in found.items():
        one = table.select(text=table.text, **{name: ibis.literal(True)})
        joined = told.left_join(one, "text")
        told = joined.select(*told.columns, name)
    flags = {name: told[name].fill_null(False) for name in found}
    if chosen.min_words is not None:
        flags["short"] = told["count"] < chosen.min_words
    if chosen.max_words is not None:
        flags["long"] = told["count"] > chosen.max_words
    return told.select("text", **flags).filter(ibis.or_(*flags.values()))
