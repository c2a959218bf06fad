"""The options of the commands that compare images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Radius = Annotated[
    int,
    typer.Option("--radius", min=0, max=16, help="Bits of 64 in which the hashes of near-duplicates may differ."),
]
Model = Annotated[
    Path | None,
    typer.Option("--model", metavar="RUN", help="Compare the embeddings of this run too, which finds larger crops."),
]
MinCosine = Annotated[
    float, typer.Option("--min-cosine", min=-1, max=1, help="With --model: the least cosine of near-duplicates.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="Where hashes and embeddings are kept; among the user's caches if not given."
    ),
]
Html = Annotated[
    Path | None, typer.Option("--html", "-o", metavar="FILE", help="Write a page that shows what was found.")
]
Examples = Annotated[int, typer.Option("--examples", min=0, max=2_000, help="How much of it the page shows.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, max=1024, help="Processes that read; 0 reads in the command's own.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
