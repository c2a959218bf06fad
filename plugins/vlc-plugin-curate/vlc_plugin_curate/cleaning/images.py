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


def pairs_per_image(engine: Engine, pairs: ir.Table, most: int | None) -> ir.Table:
    """Columns ``n``, ``images`` (how many have ``n`` pairs) and ``hash`` (of the image, where ``n`` is over ``most``).

    Images that share a hash are taken for one here: numbers are counted faster than names, and :func:`crowded` looks at
    the names of the few with many pairs. Without a ``most``, no hash is told.
    """
    hashes = pairs.select(hash=engine.hashed(pairs.key))
    found = hashes.group_by("hash").agg(n=hashes.count())
    hot = ibis.literal(False) if most is None else found.n > most
    told = found.select("n", hash=ibis.cases((hot, found.hash), else_=ibis.null(found.hash.type())))
    return told.group_by("n", "hash").agg(images=told.count())


def crowded(engine: Engine, pairs: ir.Table, per_image: ir.Table, most: int) -> ir.Table:
    """The images with more than ``most`` different texts: column ``key``, each once.

    Args:
        engine: Where.
        pairs: Columns ``key`` and ``id`` (of the text).
        per_image: Of :func:`pairs_per_image`, with the same ``most``.
        most: The threshold.
    """
    hot = per_image.filter(per_image.hash.notnull()).select("hash")
    some = pairs.select("key", "id", hash=engine.hashed(pairs.key)).semi_join(hot, "hash")
    counted = some.group_by("key").agg(texts=some.id.nunique())
    return counted.filter(counted.texts > most).select("key")
