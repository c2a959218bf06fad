"""Grids to results: cells that are not finished, a few at once; what is finished is kept."""

from __future__ import annotations

import importlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from benchmarks.results.cells import run_cell, tidy
from benchmarks.results.grid import Cell, Grid
from benchmarks.results.place import Failed, Place


def run_all(grid: Grid, place: Place, *, jobs: int, most: int | None = None) -> int:
    """Runs what is not finished, ``most`` of it at most; says how many runs failed."""
    cells = grid.cells()
    todo = [cell for cell in cells if place.result(cell) is None]
    print(f"{len(cells) - len(todo)} of {len(cells)} cells are done")
    if not todo:
        return 0
    _prepare(grid, place)
    failed, started = 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_run_group, group, place): group for group in _by_run(todo)[:most]}
        for number, future in enumerate(as_completed(waiting), start=1):
            left = (time.monotonic() - started) / number * (len(waiting) - number) / 60
            try:
                future.result()
                print(f"{number}/{len(waiting)} {waiting[future][0].name}, {left:.0f} minutes left", flush=True)
            except Failed as error:
                failed += 1
                print(f"{number}/{len(waiting)} {waiting[future][0].name} FAILED: {error}", flush=True)
    return failed


def _by_run(cells: list[Cell]) -> list[list[Cell]]:
    """Cells of one run, measured in different ways, together: they follow each other on one thread."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.run_digest, []).append(cell)
    return list(groups.values())


def _prepare(grid: Grid, place: Place) -> None:
    """Makes the data once; the mark is written last."""
    mark = place.prepared / "whole"
    if mark.exists():
        return
    shutil.rmtree(place.prepared, ignore_errors=True)
    place.prepared.mkdir(parents=True)
    module, _, function = grid.prepare.partition(":")
    getattr(importlib.import_module(module), function)(place.data.resolve(), place.prepared.resolve())
    mark.write_text("")


def _run_group(cells: list[Cell], place: Place) -> None:
    for cell in cells:
        place.keep(cell, run_cell(cell, place))
    for cell in cells:
        tidy(cell, place)
