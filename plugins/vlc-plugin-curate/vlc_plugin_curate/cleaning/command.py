"""``vlc data clean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlc_plugin_curate import comparing_options as comparing
from vlc_plugin_curate.cleaning.options import VOCABULARY
from vlc_plugin_data.commands import SOURCE_HELP, Json, Sets, SplitOption, Workers

Threshold = str


def _threshold(what: str) -> object:
    return typer.Option(metavar="N|off", help=what)


def clean(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCE_HELP)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for the list and the report.")],
    sets: Sets = [],  # noqa: B006
    split: SplitOption = "train",
    min_side: Annotated[Threshold, _threshold("The least shorter side of an image in pixels.")] = "200",
    max_aspect: Annotated[Threshold, _threshold("The greatest ratio of an image's sides.")] = "3",
    max_texts: Annotated[Threshold, _threshold("The most different texts of one image.")] = "1000",
    max_images: Annotated[Threshold, _threshold("The most different images of one text.")] = "10",
    min_words: Annotated[Threshold, _threshold("The fewest words of a text.")] = "3",
    max_words: Annotated[Threshold, _threshold("The most words of a text.")] = "20",
    vocabulary: Annotated[
        Threshold, _threshold("How many words and pairs of neighbouring words are known, the most frequent first.")
    ] = str(VOCABULARY),
    min_count: Annotated[
        int, typer.Option("--min-count", min=1, help="How often a known word, or pair of words, occurs at least.")
    ] = 1,
    bigrams: Annotated[
        bool, typer.Option("--bigrams/--no-bigrams", help="Count pairs of neighbouring words too.")
    ] = True,
    evaluation_set: Annotated[
        list[str],
        typer.Option(metavar="SOURCE", help="Drop near-duplicates of the images of this source. Repeatable."),
    ] = [],  # noqa: B006
    radius: comparing.Radius = 10,
    model: comparing.Model = None,
    min_cosine: comparing.MinCosine = 0.95,
    tars: Annotated[bool, typer.Option("--tars", help="Write the samples that are kept into tars as well.")] = False,
    shard: Annotated[int, typer.Option("--shard", min=1, help="Samples in each of these tars.")] = 10_000,
    engine: Annotated[
        str, typer.Option("--engine", help="duckdb, or a Spark master: spark://host:7077, local[4].")
    ] = "duckdb",
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="What DuckDB may take, such as 4GB.")] = "4GB",
    threads: Annotated[int, typer.Option("--threads", min=0, max=1024, help="Of DuckDB; 0 takes every core.")] = 0,
    workers: Workers = 0,
    keep_stages: Annotated[
        bool, typer.Option("--keep-stages", help="Keep what a later run with other options can use again.")
    ] = False,
    json: Json = False,
) -> None:
    """Filter noisy pairs of images and texts as ALIGN does, and report what each rule dropped.

    Writes list.parquet, which a recipe trains on, dropped.parquet, report.json and report.html. A command that was
    stopped goes on where it was.
    """
    from vlc_core import terminal
    from vlc_core.errors import RecipeError
    from vlc_core.naming import find_sources
    from vlc_core.plugins import plugins
    from vlc_plugin_curate.cleaning.chosen import chosen_by, limits_of, refuse_engine
    from vlc_plugin_curate.cleaning.clean import clean as run
    from vlc_plugin_curate.cleaning.job import Job
    from vlc_plugin_curate.cleaning.terminal_report import as_text

    refuse_engine(engine)
    if model is not None and not evaluation_set:
        raise RecipeError(f"--model {model} tells near-duplicates of evaluation sets: name one by --evaluation-set")
    registry = plugins().registry
    chosen = chosen_by(
        min_side=min_side,
        max_aspect=max_aspect,
        max_texts=max_texts,
        max_images=max_images,
        min_words=min_words,
        max_words=max_words,
        vocabulary=vocabulary,
        min_count=min_count,
        bigrams=bigrams,
    )
    job = Job(
        chosen=chosen,
        limits=limits_of(memory, threads, out),
        evaluation=[spec for one in evaluation_set for spec in find_sources(one, registry)],
        radius=radius,
        model=model,
        min_cosine=min_cosine,
        engine=engine,
        workers=workers,
        shard=shard if tars else None,
        keep_stages=keep_stages,
    )
    specs = [spec for one in sources for spec in find_sources(one, registry, sets=sets, split=split)]
    report = run(specs, out, job, registry)
    if json:
        terminal.say_json(report.as_json())
    else:
        terminal.say(as_text(report, out, tars=tars))
