"""``vlc data overlap``: evaluation images that were trained on. Nothing heavy is imported until it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_plugin_curate import comparing_options as options
from vlc_plugin_curate.comparing_results import tell

if TYPE_CHECKING:
    from vlc_plugin_curate.overlapping.report import Study


def overlap(
    train: Annotated[
        str,
        typer.Argument(metavar="TRAIN", help="What was trained on: a path, a recipe (its data.train), or {use: …}."),
    ],
    evaluated: Annotated[
        list[str],
        typer.Argument(metavar="EVAL", help="What is evaluated on: paths, recipes (their evaluations), or {use: …}."),
    ],
    runs: Annotated[
        list[Path],
        typer.Option("--run", metavar="RUN", help="Compare the zero-shot accuracy of this run. Repeatable."),
    ] = [],  # noqa: B006
    prompts: Annotated[
        str, typer.Option("--prompts", metavar="NAME", help="With --run: the prompts for class names.")
    ] = "clip80",
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.5, max=0.999999, help="With --run: of the intervals.")
    ] = 0.995,
    radius: options.Radius = 10,
    model: options.Model = None,
    min_cosine: options.MinCosine = 0.95,
    html: options.Html = None,
    examples: options.Examples = 60,
    cache: options.Cache = None,
    workers: options.Workers = 0,
    json: options.Json = False,
) -> None:
    """Find evaluation images among training images, and what they do to accuracy.

    With --run: the accuracy on all images, on those that overlap and on the clean rest; all − clean with its interval,
    and how likely the overlap is answered so well by chance. Ends with 3 where no image can be read.
    """
    from vlc_core import terminal
    from vlc_core.plugins import plugins
    from vlc_plugin_curate.near.compared import Thresholds, as_options
    from vlc_plugin_curate.near.embedder import Embedder
    from vlc_plugin_curate.near.sources import cache_of, open_sources
    from vlc_plugin_curate.overlapping.report import Study
    from vlc_plugin_curate.overlapping.study import compare_accuracies, find_overlap
    from vlc_plugin_data.pages import check_file

    check_file(html, "--html")
    registry, kept_at = plugins().registry, cache_of(cache)
    left, right = open_sources([train], registry), open_sources(evaluated, registry, split="evaluate")
    embedder = None if model is None else Embedder(model, kept_at)
    left_prints, right_prints = left.fingerprints(kept_at, workers), right.fingerprints(kept_at, workers)
    found = find_overlap(left, left_prints, right, right_prints, Thresholds(radius, embedder, min_cosine))
    for run in runs:
        with terminal.waiting(f"evaluating {run} …"):
            compare_accuracies(found, run, prompts, confidence=confidence)
    how = as_options(radius, model, min_cosine) | ({"prompts": prompts, "confidence": confidence} if runs else {})
    study = Study(left, left_prints, found, how)
    tell(study, _text(study), html=html, examples=examples, json=json)


def _text(study: Study) -> Iterator[str]:
    from vlc_core import terminal

    yield terminal.listing(study.facts())
    for grid in study.grids():
        yield terminal.table(grid.heads, grid.rows, title=grid.title, right=grid.heads[1:])
