"""How frequent words and pairs of neighbouring words are, and which texts hold rare ones.

Counts are of all pairs: a text of ten images counts tenfold, and is cut into words once.

Pairs of words are counted by two hashes of 64 bits, one of each word, which takes a third of the memory of the words.
That loses nothing as long as no two words of the data share a hash, which is looked at; were there such, other hashes
are taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import SECOND, Engine
from vlc_plugin_curate.cleaning.options import Filter


def words_in(texts: ir.Table) -> ir.ArrayValue:
    """The words of each text, from the columns ``text`` and ``words``."""
    return ibis.coalesce(texts.words, texts.text).split(" ")


def count_words(texts: ir.Table) -> ir.Table:
    """Columns ``word`` and ``n``."""
    words = texts.select(word=words_in(texts).unnest(), n=texts.n)
    return words.filter(words.word != "").group_by("word").agg(n=_whole(words.n.sum()))


def sharing(engine: Engine, words: ir.Table, salt: str) -> ir.Table:
    """One row: how many words there are, and how many hashes of them."""
    return words.aggregate(words=words.count(), hashes=_hashed(engine, words.word, salt).nunique())


def count_pairs(engine: Engine, texts: ir.Table, salt: str) -> ir.Table:
    """Columns ``a``, ``b`` (hashes) and ``n``, without pairs of words that occur once: their number is what is left."""
    found = engine.neighbours(texts, words_in(texts), {"n": texts.n})
    pairs = found.select("n", a=_hashed(engine, found.word, salt), b=_hashed(engine, found[SECOND], salt))
    counted = pairs.group_by("a", "b").agg(n=_whole(pairs.n.sum()))
    return counted.filter(counted.n > 1)


def occurring_pairs(texts: ir.Table) -> ir.Table:
    """One row: ``n``, how many pairs of neighbouring words there are in all, each as often as it occurs."""
    length = words_in(texts).length()
    return texts.aggregate(n=_whole(((length - 1) * texts.n).sum()))


def histogram(counted: ir.Table) -> ir.Table:
    """Columns ``n`` and ``kinds``: how many words, or pairs of them, occur ``n`` times."""
    return counted.group_by("n").agg(kinds=counted.count())


def threshold(histograms: Iterable[dict[str, Any]], chosen: Filter) -> int:
    """How often what is known occurs at least: as the last of the ``vocabulary`` most frequent, and ``min_count``.

    Args:
        histograms: Rows of ``n`` and ``kinds``; rows of one ``n`` add up.
        chosen: The vocabulary and the least count.
    """
    kinds: dict[int, int] = {}
    for row in histograms:
        kinds[row["n"]] = kinds.get(row["n"], 0) + row["kinds"]
    known = 0
    least = 1
    for n in sorted(kinds, reverse=True):
        if chosen.vocabulary is not None and known < chosen.vocabulary <= known + kinds[n]:
            least = n
        known += kinds[n]
    return max(least, chosen.min_count)


def texts_with_rare_words(texts: ir.Table, words: ir.Table, least: int, *, alone: bool) -> ir.Table:
    """The texts, each once, with a word that occurs fewer than ``least`` times.

    Args:
        texts: Columns ``text`` and ``words``.
        words: Of :func:`count_words`.
        least: The threshold.
        alone: Whether texts of one word are asked alone.
    """
    known = words.filter(words.n >= least).select("word")
    if alone:
        spoken = ibis.coalesce(texts.words, texts.text)
        texts = texts.filter((spoken != "") & ~spoken.contains(" "))
    found = texts.select("text", word=words_in(texts).unnest())
    return found.filter(found.word != "").anti_join(known, "word").select("text").distinct()


def texts_with_rare_pairs(engine: Engine, texts: ir.Table, pairs: ir.Table, least: int, salt: str) -> ir.Table:
    """The texts, each once, with two neighbouring words that occur together fewer than ``least`` times; ``least`` > 1.

    A word that is rare makes its pairs rare, so only texts of one word need be asked besides.
    """
    known = pairs.filter(pairs.n >= least).select("a", "b")
    found = engine.neighbours(texts, words_in(texts), {"text": texts.text})
    found = found.select("text", a=_hashed(engine, found.word, salt), b=_hashed(engine, found[SECOND], salt))
    return found.anti_join(known, ["a", "b"]).select("text").distinct()


def _hashed(engine: Engine, word: ir.StringValue, salt: str) -> ir.IntegerValue:
    return engine.hashed(word + salt if salt else word)


def _whole(total: ir.NumericValue) -> ir.IntegerValue:
    """A sum in 64 bits: DuckDB adds up in 128, which Parquet does not have."""
    return total.cast("decimal(18, 0)").cast("int64")
