"""Results to tables: mean ± standard deviation over the seeds, written between marks of a page of the docs."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

from benchmarks.results.grid import Grid, Row, Table
from benchmarks.results.place import Place

NOTHING = "–"


def write_tables(grid: Grid, place: Place, page: Path) -> None:
    """Puts every table of ``grid`` between its marks on ``page``; a table without marks gets a section at the end.

    What stands outside the marks is left alone.
    """
    text = page.read_text() if page.exists() else "# Results in miniature\n"
    for table in grid.tables:
        start, end = f"<!-- {grid.method}/{table.name} -->", f"<!-- end of {grid.method}/{table.name} -->"
        if start not in text:
            text = f"{text.rstrip()}\n\n## {table.title}\n\n{table.about.strip()}\n\n{start}\n{end}\n"
        lines = "\n".join(_lines(grid, table, place))
        text = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: f"{start}\n{lines}\n{end}", text, flags=re.S)  # noqa: B023
    page.write_text(text)
    print(f"tables are in {page}")


def _lines(grid: Grid, table: Table, place: Place) -> list[str]:
    heads = [*table.axes, *table.measures]
    body = [[*row.values, *(_entry(row, measure, place) for measure in table.measures.values())] for row in table.rows]
    rule = [":--"] * len(table.axes) + ["--:"] * len(table.measures)
    rows = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *body)]
    cells = {cell.digest: cell for row in table.rows for cell in row.cells}
    done = [result for cell in cells.values() if (result := place.result(cell)) is not None]
    minutes = sum(result["seconds"] for result in done) / 60
    again = f"python -m benchmarks.results {grid.method} --only {table.name}"
    note = f"{len(done)} of {len(cells)} runs, together {minutes:.0f} minutes of one thread. Again: `{again}`"
    return [*rows, "", note]


def _entry(row: Row, measure: str, place: Place) -> str:
    """``mean ± deviation`` in per cent over the seeds that are done."""
    evaluator, _, metric = measure.partition("/")
    if evaluator in row.without:
        return NOTHING
    results = [result for cell in row.cells if (result := place.result(cell)) is not None]
    values = [100 * result["metrics"][evaluator][metric] for result in results]
    if not values:
        return NOTHING
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    few = "" if len(values) == len(row.cells) else f" ({len(values)} of {len(row.cells)})"
    return f"{statistics.mean(values):.1f}{spread}{few}"
