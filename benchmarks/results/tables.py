"""Results to tables: mean ± standard deviation over the seeds, written between marks of a page of the docs."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

from benchmarks.results.grid import Grid, Row, Table
from benchmarks.results.place import Place

NOTHING = "–"


def write_tables(grid: Grid, place: Place, page: Path, *, whole: Grid | None = None) -> None:
    """Puts every table of ``grid`` between its marks on ``page``; a table without marks gets a section at the end.

    Where the page has marks called ``method/missing``, the tables of ``whole`` that are not on it are named there. What
    stands outside the marks is left alone.
    """
    text = page.read_text() if page.exists() else "# Results in miniature\n"
    for table in grid.tables:
        start, end = _marks(grid, table.name)
        if start not in text:
            text = f"{text.rstrip()}\n\n## {table.title}\n\n{table.about.strip()}\n\n{start}\n{end}\n"
        text = _between(text, start, end, _lines(grid, table, place))
    whole = grid if whole is None else whole
    text = _between(text, *_marks(whole, "missing"), [_missing(whole, text)])
    page.write_text(text)
    print(f"tables are in {page}")


def _marks(grid: Grid, name: str) -> tuple[str, str]:
    return f"<!-- {grid.method}/{name} -->", f"<!-- end of {grid.method}/{name} -->"


def _between(text: str, start: str, end: str, lines: list[str]) -> str:
    """``text`` with ``lines`` between the marks, where it has them."""
    written = "\n".join((start, *lines, end))
    return re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: written, text, flags=re.S)


def _missing(grid: Grid, text: str) -> str:
    """Which tables have no section in ``text``."""
    titles = [table.title for table in grid.tables if _marks(grid, table.name)[0] not in text]
    name = f"`benchmarks/results/{grid.method}.yaml`"
    return f"Declared in {name} and not run yet: {'; '.join(titles)}." if titles else f"All tables of {name} are here."


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
