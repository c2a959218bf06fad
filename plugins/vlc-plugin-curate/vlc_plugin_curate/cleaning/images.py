"""What the rules ask of images: the sizes that are known, and how many texts each has."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.options import Filter


def is_small(pairs: ir.Table, chosen: Filter) -> ir.BooleanValue:
    """Whether the shorter side is under the least; an image of unknown size is not small."""
    return (ibis.least(pairs.width, pairs.height) < chosen.min_side).fill_null(False)


def is_elongated(pairs: ir.Table, chosen: Filter) -> ir.BooleanValue:
    """Whether the longer side is more than so many times the shorter one; one of unknown size is not."""
    longer = ibis.greatest(pairs.width, pairs.height).cast("float64")
    return (longer > chosen.max_aspect * ibis.least(pairs.width, pairs.height)).fill_null(False)


def pairs_per_image(engine: Engine, pairs: ir.Table) -> ir.Table:
    """Columns ``n`` and ``images``: how many images have ``n`` pairs, images that share a hash taken for one.

    Most images have a pair or two: numbers are counted faster than names, and :func:`crowded` looks at names.
    """
    found = _by_hash(engine, pairs)
    return found.group_by("n").agg(images=found.count())


def crowded(engine: Engine, pairs: ir.Table, most: int) -> ir.Table:
    """The images with more than ``most`` different texts: column ``key``, each once."""
    found = _by_hash(engine, pairs)
    hot = found.filter(found.n > most).select("hash")
    some = pairs.select("key", "text", hash=engine.hashed(pairs.key)).semi_join(hot, "hash")
    counted = some.group_by("key").agg(texts=some.text.nunique())
    return counted.filter(counted.texts > most).select("key")


def _by_hash(engine: Engine, pairs: ir.Table) -> ir.Table:
    hashes = pairs.select(hash=engine.hashed(pairs.key))
    return hashes.group_by("hash").agg(n=hashes.count())
