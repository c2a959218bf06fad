"""How frequent words and pairs of neighbouring words are, and which texts hold rare ones.

Counts are of all pairs: a text of ten images counts tenfold, and is cut into words once.

Pairs of words are counted by two hashes, one of each word, and texts with rare ones are told by the ``id`` that
:mod:`.texts` gives them: so what is unnested, grouped and joined, many times a text, is numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import FIRST, SECOND, Engine
from vlc_plugin_curate.cleaning.options import Filter


def words_in(texts: ir.Table) -> ir.ArrayValue:
    """The words of each text, from the columns ``text`` and ``words``."""
    return ibis.coalesce(texts.words, texts.text).split(" ")


def count_words(texts: ir.Table) -> ir.Table:
    """Columns ``word`` and ``n``."""
    words = texts.select(word=words_in(texts).unnest(), n=texts.n.cast("float64"))
    return words.filter(words.word != "").group_by("word").agg(n=_whole(words.n.sum()))


def word_hashes(engine: Engine, words: ir.Table, salt: str) -> ir.Table:
    """Column ``hash``, of each word."""
    return words.select(hash=_hashed(engine, words.word, salt))


def count_pairs(engine: Engine, texts: ir.Table, salt: str) -> ir.Table:
    """Columns ``a``, ``b`` (hashes) and ``n``, without pairs of words that occur once: their number is what is left."""
    pairs = engine.neighbours(texts, _hashes_in(engine, texts, salt), {"n": texts.n.cast("float64")})
    counted = pairs.group_by(FIRST, SECOND).agg(n=_whole(pairs.n.sum()))
    return counted.filter(counted.n > 1)


def first_words(texts: ir.Table) -> ir.Table:
    """One row: ``n``, how many texts have words at all, each as often as it occurs.

    Every other word ends a pair of neighbours, so that many fewer pairs than words occur.
    """
    some = texts.filter(ibis.coalesce(texts.words, texts.text) != "")
    return some.aggregate(n=_whole(some.n.cast("float64").sum()))


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
    """The texts, by ``id``, each once, with a word that occurs fewer than ``least`` times.

    Args:
        texts: Columns ``id``, ``text`` and ``words``.
        words: Of :func:`count_words`.
        least: The threshold.
        alone: Whether texts of one word are asked alone.
    """
    known = words.filter(words.n >= least).select("word")
    if alone:
        spoken = ibis.coalesce(texts.words, texts.text)
        texts = texts.filter((spoken != "") & ~spoken.contains(" "))
    found = texts.select("id", word=words_in(texts).unnest())
    return found.filter(found.word != "").anti_join(known, "word").select("id").distinct()


def texts_with_rare_pairs(engine: Engine, texts: ir.Table, pairs: ir.Table, least: int, salt: str) -> ir.Table:
    """The texts, by ``id``, each once, with two neighbours that occur together fewer than ``least`` > 1 times.

    A word that is rare makes its pairs rare, so only texts of one word need be asked besides.
    """
    known = pairs.filter(pairs.n >= least).select(FIRST, SECOND)
    found = engine.neighbours(texts, _hashes_in(engine, texts, salt), {"id": texts.id})
    return found.anti_join(known, [FIRST, SECOND]).select("id").distinct()


def _hashes_in(engine: Engine, texts: ir.Table, salt: str) -> ir.ArrayValue:
    return words_in(texts).map(lambda word: _hashed(engine, word, salt))


def _hashed(engine: Engine, word: ir.StringValue, salt: str) -> ir.IntegerValue:
    return engine.hashed_word(word + salt if salt else word)


def _whole(total: ir.NumericValue) -> ir.IntegerValue:
    """A sum of whole numbers that were added up as floats: exact below 2^53, and half of DuckDB's 128 bits."""
    return total.cast("int64")
