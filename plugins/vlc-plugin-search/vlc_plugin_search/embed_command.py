"""``vlc embed``: a whole source through a model, to Parquet and an index. Nothing heavy is imported until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_plugin_data.commands import Json, Sets, Source, SplitOption
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Part

if TYPE_CHECKING:
    from vlc_plugin_search.embedding.making import Made


def embed(
    source: Source,
    model: Annotated[
        Path, typer.Option("--model", "-m", metavar="RUN", help="The run whose model encodes, or a model folder.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write; one that is begun is finished.")
    ],
    part: Annotated[Part, typer.Option("--part", help="What of each sample is embedded.")] = Part.IMAGE,
    index: Annotated[
        Kind, typer.Option("--index", help="Made at the end: all vectors in a matrix, a graph of neighbours, or none.")
    ] = Kind.EXACT,
    precision: Annotated[Precision, typer.Option("--dtype", help="Of the numbers that are kept.")] = Precision.FLOAT32,
    connectivity: Annotated[
        int, typer.Option("--connectivity", min=2, max=1024, help="Of --index ann: links of each vector.")
    ] = 32,
    expansion: Annotated[
        int, typer.Option("--expansion", min=1, max=65_536, help="Of --index ann: candidates for them.")
    ] = 256,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=65_536, help="Samples that are encoded at once.")
    ] = 256,
    part_size: Annotated[
        int, typer.Option("--part-size", min=1, help="Samples of a part, in whole batches: what a kill can cost.")
    ] = 8192,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=0, max=1024, help="Processes that read ahead; half the cores, at most 8, without."
        ),
    ] = None,
    sets: Sets = [],  # noqa: B006
    split: SplitOption = "train",
    json: Json = False,
) -> None:
    """Embed every image or text of a source, for search and other tools.

    DIR gets Parquet files, an index and a list of what could not be read. A command that was stopped goes on where it
    was when it is given again.
    """
    from vlc_core import terminal
    from vlc_core.progress import Tracker
    from vlc_plugin_search.embedding.opening import open_making
    from vlc_plugin_search.indexing.building import Graph

    with terminal.waiting(f"opening {source} …"):
        making = open_making(
            source,
            model,
            out,
            part=part,
            precision=precision,
            batch_size=batch_size,
            part_size=part_size,
            workers=workers,
            sets=sets,
            split=split,
        )
    with Tracker("embedding") as embedding, Tracker("indexing") as indexing:
        made = making.run(index, Graph(connectivity, expansion), embedding, indexing)
    if json:
        terminal.say_json(_as_json(made, out))
    else:
        terminal.say(_as_text(made, out))


def _as_json(made: Made, out: Path) -> dict[str, object]:
    counts = made.counts
    return {
        "folder": str(out),
        "samples": counts.samples,
        "skipped": counts.skipped,
        "rows": dict(counts.rows),
        "parts": {"kept": made.kept, "made": made.made},
    }


def _as_text(made: Made, out: Path) -> str:
    from vlc_core import terminal

    counts = made.counts
    rows = " and ".join(f"{count:,} {side}" for side, count in counts.rows.items())
    lines = {"embeddings": f"{rows}, of {counts.samples:,} samples", "parts": f"{made.made:,} made, {made.kept:,} kept"}
    if made.skipped:
        first = made.skipped[0]
        lines["skipped"] = (
            f"{counts.skipped:,}, the first {first.source} {first.key} because {first.reason} (skipped.jsonl has all)"
        )
    return terminal.listing(lines | {"written to": str(out)}).rstrip()
