"""The indexes of a source's shards: which were made, what they say, and which shards are bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vlc_core import RecipeError
from vlc_core.naming import SourceSpec
from vlc_core.terminal import bold, listing, table
from vlc_plugin_data.inspecting.shards import count_shards, spoken
from vlc_plugin_data.inspecting.terminal_report import one_line
from vlc_plugin_data.tars import IndexedShard


def paths_of(spec: SourceSpec) -> str | list[str]:
    """The shards that a source reads.

    Raises:
        RecipeError: It reads none.
    """
    path = spec.use.options.get("path")
    if spec.use.use.rpartition("/")[2] != "webdataset" or not isinstance(path, str | list):
        raise RecipeError(f"{spec.name} is read as {spec.block}: only tars of the dataset webdataset have an index")
    return path


def index_as_json(name: str, shards: Sequence[IndexedShard]) -> dict[str, Any]:
    """The shards of a source for programs."""
    found = [shard.facts for shard in shards if shard.facts is not None]
    return {
        "name": name,
        "made": sum(shard.made for shard in shards),
        "bad": sum(bool(shard.error) for shard in shards),
        **count_shards(found)._asdict(),
        "shards": [shard._asdict() | {"facts": shard.facts and asdict(shard.facts)} for shard in shards],
    }


def index_as_text(name: str, shards: Sequence[IndexedShard]) -> str:
    """The shards of a source for people: sums, and those that something is wrong with."""
    good = [shard for shard in shards if shard.facts is not None]
    made = sum(shard.made for shard in good)
    counts = count_shards([shard.facts for shard in good if shard.facts is not None])
    beside = sum(shard.place.startswith(shard.url) for shard in good)
    places = {"beside their shards": beside, "in the cache": len(good) - beside}
    lines = spoken(counts) | {
        "shards": f"{len(shards):,}",
        "samples": f"{counts.samples:,}",
        "indexes": f"{made:,} made, {len(good) - made:,} there already, {len(shards) - len(good):,} failed",
        "kept": ", ".join(f"{number:,} {place}" for place, number in places.items() if number) or "none",
    }
    parts = [bold(one_line(name)), listing({title: one_line(text) for title, text in lines.items()})]
    wrong = [(one_line(shard.url), one_line(shard.error or shard.cut)) for shard in shards if shard.error or shard.cut]
    if wrong:
        parts.append(table(("shard", "what is wrong"), wrong, title="broken"))
    return "\n".join(parts)
