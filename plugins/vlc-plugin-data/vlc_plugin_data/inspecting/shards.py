"""What the indexes of tar shards say of them, in sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from vlc_plugin_data.tars.index import Facts


class ShardCounts(NamedTuple):
    """What the indexes of some shards say, in sum.

    Attributes:
        shards: Those with an index.
        samples: In them.
        broken_off: Shards that break off; what stands before is used.
        half: Samples left out because of that.
        repeated: Members left out because another one of that key and kind came before.
        outside: Members left out because their path leads out of the tar.
        without_image: Keys left out for want of an image.
        without_text: Samples with neither caption nor label.
        ignored: Members of other kinds, by the endings of their names.
    """

    shards: int
    samples: int
    broken_off: int
    half: int
    repeated: int
    outside: int
    without_image: int
    without_text: int
    ignored: dict[str, int]


_SPOKEN = {
    "broken_off": "shards that break off; what stands before is used",
    "half": "samples cut off with them",
    "repeated": "members of a key and kind that came before",
    "outside": "members with a path that leads out of the tar",
    "without_image": "keys without an image",
    "without_text": "samples with neither caption nor label",
}


def count_shards(facts: Sequence[Facts]) -> ShardCounts:
    """The sums over shards."""
    ignored: Counter[str] = Counter()
    for one in facts:
        ignored.update(one.ignored)
    return ShardCounts(
        shards=len(facts),
        samples=sum(one.samples for one in facts),
        broken_off=sum(one.broken_at is not None for one in facts),
        half=sum(one.half for one in facts),
        repeated=sum(one.repeated for one in facts),
        outside=sum(one.outside for one in facts),
        without_image=sum(one.without_image for one in facts),
        without_text=sum(one.without_text for one in facts),
        ignored=dict(ignored.most_common()),
    )


def spoken(counts: ShardCounts) -> dict[str, str]:
    """The counts for people; what is nought is left out."""
    lines = {"shards": f"{counts.shards:,}"}
    odd = [f"{getattr(counts, name):,} {what}" for name, what in _SPOKEN.items() if getattr(counts, name)]
    if odd:
        lines["in the shards"] = "; ".join(odd)
    if counts.ignored:
        listed = ", ".join(f".{ending} {number:,}" for ending, number in counts.ignored.items())
        lines["not read"] = f"members ending in {listed}"
    return lines
