"""What the rules ask of images: the sizes that are known, and how many texts each has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.places import BITS, bits
from vlc_plugin_curate.cleaning.rules import Rule


def is_small(pairs: ir.Table, chosen: Filter) -> ir.BooleanValue:
    """Whether the shorter side is under the least; an image of unknown size is not small."""
    return (ibis.least(pairs.width, pairs.height) < chosen.min_side).fill_null(False)


def is_elongated(pairs: ir.Table, chosen: Filter) -> ir.BooleanValue:
    """Whether the longer side is more than so many times the shorter one; one of unknown size is not."""
    longer = ibis.greatest(pairs.width, pairs.height).cast("float64")
    return (longer > chosen.max_aspect * ibis.least(pairs.width, pairs.height)).fill_null(False)


def of_size(pairs: ir.Table, chosen: Filter) -> dict[str, ir.BooleanValue]:
    """By the names of the rules on size that are asked, whether each pair is dropped."""
    flags: dict[str, ir.BooleanValue] = {}
    if chosen.min_side is not None:
        flags["small"] = is_small(pairs, chosen)
    if chosen.max_aspect is not None:
        flags["elongated"] = is_elongated(pairs, chosen)
    return flags


def pairs_per_image(numbers: ir.Table, most: int | None) -> ir.Table:
    """Columns ``n``, ``images`` (how many have ``n`` pairs) and ``image`` (which, where ``n`` is over ``most``).

    Without a ``most``, no image is told.
    """
    found = numbers.group_by("image").agg(n=numbers.count())
    hot = ibis.literal(False) if most is None else found.n > most
    told = found.select("n", image=ibis.cases((hot, found.image), else_=ibis.null(found.image.type())))
    return told.group_by("n", "image").agg(images=told.count())


def crowded(numbers: ir.Table, per_image: ir.Table, most: int) -> ir.Table:
    """The images with more than ``most`` different texts: column ``image``, each once.

    Args:
        numbers: Columns ``image`` and ``id`` (of the text).
        per_image: Of :func:`pairs_per_image`, with the same ``most``.
        most: The threshold.
    """
    hot = per_image.filter(per_image.image.notnull()).select("image")
    some = numbers.select("image", "id").semi_join(hot, "image")
    counted = some.group_by("image").agg(texts=some.id.nunique())
    return counted.filter(counted.texts > most).select("image")


def bad_images(found: Mapping[str, ir.Table], rules: Sequence[Rule]) -> ir.Table:
    """Each image once, with the bits of the rules that drop it.

    Args:
        found: By rule, the column ``image`` of those that it drops, each once or more often.
        rules: Those that are asked, in order.
    """
    flagged = [one.mutate(**{rule: ibis.literal(name == rule) for rule in found}) for name, one in found.items()]
    every = ibis.union(*flagged) if len(flagged) > 1 else flagged[0]
    once = every.group_by("image").agg(**{name: every[name].any() for name in found})
    return once.select("image", **{BITS: bits({name: once[name] for name in found}, rules)})
