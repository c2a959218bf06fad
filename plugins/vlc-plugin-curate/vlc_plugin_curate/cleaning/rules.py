"""The rules of the filter by name, in the order in which they are asked."""

from __future__ import annotations

from typing import NamedTuple

from vlc_plugin_curate.cleaning.options import Filter


class Rule(NamedTuple):
    """One reason to drop a pair.

    Attributes:
        name: In tables, files and reports.
        drops: What it drops, as people say it.
        of_text: Whether the text decides; otherwise the image does.
    """

    name: str
    drops: str
    of_text: bool


def rules_of(chosen: Filter, *, evaluation: bool = False) -> tuple[Rule, ...]:
    """The rules that are switched on.

    Args:
        chosen: The thresholds.
        evaluation: Whether there are evaluation sets, of whose images no near-duplicate may be left.
    """
    known = "words or pairs of neighbouring words" if chosen.bigrams else "words"
    image = [
        (chosen.min_side, "small", f"images with a side under {chosen.min_side} pixels"),
        (chosen.max_aspect, "elongated", f"images more than {_number(chosen.max_aspect)} times as long as wide"),
        (chosen.max_texts, "crowded", f"images with more than {_number(chosen.max_texts)} texts"),
        (evaluation or None, "near-duplicate", "images that are nearly one of an evaluation set"),
    ]
    text = [
        (chosen.max_images, "shared", f"texts of more than {_number(chosen.max_images)} images"),
        (chosen.min_words, "short", f"texts of fewer than {chosen.min_words} words"),
        (chosen.max_words, "long", f"texts of more than {chosen.max_words} words"),
        (chosen.rare or None, "rare", f"texts with {known} that are not among the most frequent"),
    ]
    rules = [Rule(name, drops, False) for on, name, drops in image if on is not None]
    return (*rules, *(Rule(name, drops, True) for on, name, drops in text if on is not None))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,g}"
