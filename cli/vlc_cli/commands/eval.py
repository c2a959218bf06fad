"""``vlc eval``: a trained run measured by evaluators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.interfaces.evaluator import Evaluation, Table


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    names: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="NAME",
            help="An evaluation of the run's recipe; all of them without. Repeatable.",
        ),
    ] = [],  # noqa: B006
    against: Annotated[
        list[Path],
        typer.Option(
            "--against",
            metavar="RUN",
            help="Another run to show beside this one, where an evaluation can. Repeatable.",
        ),
    ] = [],  # noqa: B006
    sets: options.Sets = [],  # noqa: B006
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Measure a trained model.

    Results are printed, and written to the run's evaluations/ folder.
    """
    from vlc_cli import console
    from vlc_cli.logs import show_warnings
    from vlc_core.engine.evaluate import evaluate_run
    from vlc_core.errors import RecipeError
    from vlc_core.plugins import plugins

    show_warnings()
    with console.waiting(f"evaluating {run} …"):
        results = evaluate_run(run, plugins(), names=names, sets=sets, against=against)
    if not results:
        raise RecipeError(f"the recipe of {run} has no evaluate.with: say what to measure by --with NAME")
    if json:
        console.say_json({name: _as_json(result) for name, result in results.items()})
        return
    for name, result in results.items():
        rows = console.metric_rows(result.metrics)
        console.say(console.table(("metric", "value"), rows, title=name, right=("value",)))
        for shown in (table for table in result.tables.values() if table.shown):
            console.say(table_as_text(shown))
        for figure in result.figures:
            console.say(console.dim(f"figure: {run / 'evaluations' / name / figure}"))
    console.say(console.dim(f"written to {run / 'evaluations'}"))


def table_as_text(table: Table) -> str:
    """The table for people; columns of numbers stand against their right edge, so that they can be compared."""
    from vlc_cli import console

    numbers = [
        name
        for place, name in enumerate(table.columns)
        if all(row[place] == "" or not isinstance(row[place], str) for row in table.rows)
    ]
    return console.table(table.columns, [[_cell(cell) for cell in row] for row in table.rows], right=numbers)


def _cell(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _as_json(result: Evaluation) -> dict[str, object]:
    tables = {name: {"columns": table.columns, "rows": table.rows} for name, table in result.tables.items()}
    return {"metrics": result.metrics, "details": result.details, "tables": tables}
