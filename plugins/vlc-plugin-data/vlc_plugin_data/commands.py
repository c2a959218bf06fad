"""``vlc data``: what is in data before anything is trained on it. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlc_plugin_data.inspecting.report import Report
    from vlc_plugin_data.tars import IndexedShard

SOURCE_HELP = (
    "A folder of class folders, a table (.csv, .tsv, .jsonl, .parquet) or tars (a path, a {00..99} range, a folder "
    "of them); a recipe; or a dataset as in a recipe, such as '{use: digits, split: test}'."
)

Source = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the dataset, or a key of the recipe. Repeatable."),
]
SplitOption = Annotated[
    Literal["train", "evaluate", "all"], typer.Option("--split", help="Which data of a recipe is meant.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, max=1024, help="Processes that read; 0 reads in the command's own.")
]


def add_commands(app: typer.Typer) -> None:
    """Adds ``vlc data`` to ``app``."""
    data = typer.Typer(help="Look into data, and prepare it.", no_args_is_help=True, rich_markup_mode=None)
    data.callback()(_group)
    data.command("inspect")(inspect)
    data.command("index")(index)
    app.add_typer(data, name="data")


def _group() -> None:
    """Look into data, and prepare it."""


def inspect(
    source: Source,
    sets: Sets = [],  # noqa: B006
    split: SplitOption = "train",
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every pixel, which finds files that are cut short.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Look at the first so many samples.")] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Look at so many, drawn by --seed.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn: --sample, and the contact sheet.")] = 0,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            metavar="NAME",
            help="Count tokens too: of a run, of a tokenizer.json, or of a tokenizer as in a recipe.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", "-o", metavar="FILE", help="Write a page with figures and a contact sheet."),
    ] = None,
    thumbnails: Annotated[
        int, typer.Option("--thumbnails", min=0, max=2_000, help="Samples on the contact sheet of each source.")
    ] = 48,
    workers: Workers = 0,
    json: Json = False,
) -> None:
    """Report what is in a dataset: sizes, captions, classes, what is broken.

    Images are judged by their headers unless --decode is given. Ends with 3 where no sample of a source is sound.
    """
    from vlc_core import terminal
    from vlc_core.naming import find_sources
    from vlc_core.plugins import plugins
    from vlc_plugin_data.inspecting.inspection import Inspection
    from vlc_plugin_data.inspecting.page import as_page
    from vlc_plugin_data.inspecting.terminal_report import as_text
    from vlc_plugin_data.pages import check_file, write_page

    check_file(html)
    registry = plugins().registry
    with terminal.waiting(f"opening {source} …"):
        found = find_sources(source, registry, sets=sets, split=split)
    how = Inspection(
        limit=limit,
        sample=sample,
        seed=seed,
        decoded=decode,
        workers=workers,
        tokenizer=tokenizer,
        thumbnails=0 if html is None else thumbnails,
    )
    inspected = [how.of(spec, registry) for spec in found]
    if html is not None:
        write_page(html, as_page(inspected))
    if json:
        terminal.say_json({"sources": [report.as_json() for report, _ in inspected]})
    else:
        for report, _ in inspected:
            terminal.say(as_text(report))
        if html is not None:
            terminal.say(terminal.dim(f"written to {html}"))
    _refuse_broken([report for report, _ in inspected])


def index(
    source: Source,
    sets: Sets = [],  # noqa: B006
    split: SplitOption = "train",
    force: Annotated[bool, typer.Option("--force", help="Make indexes anew although fitting ones are there.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=1024, help="Shards that are read at a time.")] = 8,
    json: Json = False,
) -> None:
    """Index tar shards, so that training starts at once.

    What is there and fits its shard is kept: a command that was stopped goes on where it was. Ends with 3 where a shard
    cannot be indexed.
    """
    from vlc_core import terminal
    from vlc_core.naming import find_sources
    from vlc_core.plugins import plugins
    from vlc_core.progress import Tracker
    from vlc_plugin_data.inspecting.shard_index import index_as_json, index_as_text, paths_of
    from vlc_plugin_data.tars import index_shards

    with terminal.waiting(f"opening {source} …"):
        found = {spec.name: paths_of(spec) for spec in find_sources(source, plugins().registry, sets=sets, split=split)}
    indexed = {}
    for name, path in found.items():
        with Tracker(f"indexing {name}") as tracker:
            indexed[name] = index_shards(path, again=force, workers=workers, progress=tracker)
    if json:
        terminal.say_json({"sources": [index_as_json(name, shards) for name, shards in indexed.items()]})
    else:
        for name, shards in indexed.items():
            terminal.say(index_as_text(name, shards))
    _refuse_bad([shard for shards in indexed.values() for shard in shards])


def _refuse_bad(shards: Sequence[IndexedShard]) -> None:
    from vlc_core.errors import DataError

    bad = [shard.error for shard in shards if shard.error]
    if bad:
        raise DataError(f"{len(bad):,} of {len(shards):,} shards have no index, the first because {bad[0]}")


def _refuse_broken(reports: Sequence[Report]) -> None:
    from vlc_core.errors import DataError

    for report in reports:
        if report.sound == 0 and report.broken:
            first = report.broken[0]
            raise DataError(
                f"all {report.examined:,} samples of {report.name} that were looked at are broken, "
                f"the first because {first.reason}: check the options of its dataset"
            )
