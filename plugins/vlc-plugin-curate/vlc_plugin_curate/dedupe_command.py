"""``vlc data dedupe``: copies found, one of each kept. Nothing heavy is imported until it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vlc_plugin_curate import comparing_options as options
from vlc_plugin_curate.comparing_results import tell

if TYPE_CHECKING:
    from vlc_plugin_curate.deduping.groups import ByModel
    from vlc_plugin_curate.deduping.report import Found
    from vlc_plugin_curate.near.sources import Sources


def dedupe(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Data as for vlc data inspect: a path, a recipe, or {use: …}."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the list of what is kept, a .parquet that trains."),
    ] = None,
    keep: Annotated[
        Literal["first", "largest"], typer.Option("--keep", help="Which of several copies is kept.")
    ] = "first",
    exact: Annotated[bool, typer.Option("--exact", help="Only files of the same bytes are copies.")] = False,
    same_text: Annotated[
        bool, typer.Option("--same-text", help="Only images with the same captions are copies.")
    ] = False,
    radius: options.Radius = 10,
    model: options.Model = None,
    min_cosine: options.MinCosine = 0.95,
    sets: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="An option of the datasets. Repeatable.")
    ] = [],  # noqa: B006
    html: options.Html = None,
    examples: options.Examples = 60,
    cache: options.Cache = None,
    workers: options.Workers = 0,
    json: options.Json = False,
) -> None:
    """Find copies of images, and list what is left without them.

    Copies are found by perceptual hashes, within and across sources. Each image that is dropped is near the one that is
    kept in its place. Ends with 3 where no image can be read.
    """
    from vlc_core.errors import RecipeError
    from vlc_core.plugins import plugins
    from vlc_plugin_curate.deduping.groups import group
    from vlc_plugin_curate.deduping.kept_list import write_list
    from vlc_plugin_curate.deduping.report import Found
    from vlc_plugin_curate.near.compared import as_options
    from vlc_plugin_curate.near.sources import cache_of, open_sources
    from vlc_plugin_data.pages import check_file

    if exact and model is not None:
        raise RecipeError("--exact compares bytes alone and --model looks at pictures: give one of them")
    if out is not None and out.suffix not in (".parquet", ".pq"):
        raise RecipeError(f"--out {out} is written as Parquet: name it {out.with_suffix('.parquet')}")
    check_file(out, "--out")
    check_file(html, "--html")
    opened = open_sources(sources, plugins().registry, sets=sets)
    kept_at = cache_of(cache)
    by_model = None if model is None else _by_model(opened, model, min_cosine, kept_at)
    prints = opened.fingerprints(kept_at, workers)
    groups = group(prints, radius=None if exact else radius, keep=keep, same_text=same_text, by_model=by_model)
    how = {"keep": keep, "exact": exact, "same_text": same_text, **as_options(radius, model, min_cosine)}
    found = Found(opened, prints, groups, how)
    inside = out is not None and write_list(opened, groups.kept_rows, out)
    tell(found, _text(found, out, inside), html=html, examples=examples, json=json)


def _by_model(sources: Sources, run: Path, min_cosine: float, cache: Path) -> ByModel:
    from vlc_core.terminal import waiting
    from vlc_plugin_curate.near.embedder import Embedder
    from vlc_plugin_curate.near.embeddings import Alike, near_embeddings
    from vlc_plugin_curate.near.fingerprints import Fingerprints
    from vlc_plugin_curate.near.hamming import Near

    with waiting(f"opening {run} …"):
        embedder = Embedder(run, cache)

    def find(prints: Fingerprints, near: Near) -> Alike:
        both = (sources, prints, sources.name)
        return near_embeddings(both, both, embedder, min_cosine=min_cosine, besides=near)

    return find


def _text(found: Found, out: Path | None, inside: bool) -> Iterator[str]:
    from vlc_core import terminal
    from vlc_plugin_curate.deduping.report import SOURCE_HEADS

    yield terminal.listing(found.facts())
    if len(found.sources.specs) > 1:
        yield terminal.table(SOURCE_HEADS, found.rows(), right=SOURCE_HEADS[1:])
    if out is not None:
        what = "with the images themselves" if inside else "with the images' paths"
        label = ", label: label" if any(dataset.classes for dataset in found.sources.datasets) else ""
        yield terminal.dim(f"{out}, {what}: {{use: manifest, path: {out}, text: texts{label}}}")
