"""Results in miniature: the recipes of a grid at several seeds by the real command, and tables of them in the docs.

    python -m benchmarks.results unicl                      # all of benchmarks/results/unicl.yaml that is not done yet
    python -m benchmarks.results unicl --only sampler       # one of its tables
    python -m benchmarks.results unicl --list               # what there is to do, and what is done
    python -m benchmarks.results unicl --tables             # the tables again, from what is done
    python -m benchmarks.results unicl --most 2 --jobs 1    # two runs, to see how long they take

What is finished is kept in runs/results under a digest of its recipe, so a stopped command goes on where it was, a
changed recipe is run again, and a recipe that stands in two tables is run once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.results.grid import Grid, read_grid
from benchmarks.results.place import Place
from benchmarks.results.running import run_all
from benchmarks.results.tables import write_tables

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main() -> int:
    options = _options()
    whole = read_grid(HERE / f"{options.method}.yaml")
    grid = whole.only(options.only)
    place = Place(work=options.work / options.method, data=options.data)
    if options.list:
        _list(grid, place)
        return 0
    failed = 0 if options.tables else run_all(grid, place, jobs=options.jobs, most=options.most)
    write_tables(grid, place, options.page, whole=whole)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("method", choices=sorted(path.stem for path in HERE.glob("*.yaml")))
    parser.add_argument("--only", metavar="TABLE", nargs="*", default=[], help="these tables of the grid")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once, one thread each")
    parser.add_argument("--most", type=int, metavar="N", help="no more than this many runs")
    parser.add_argument("--list", action="store_true", help="say what there is to do, and do nothing")
    parser.add_argument("--tables", action="store_true", help="write the tables again, and run nothing")
    data = os.environ.get("VLC_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(data), help="the folder of real images")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "results", help="where runs and results are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results.md", help="where the tables are written")
    return parser.parse_args()


def _list(grid: Grid, place: Place) -> None:
    for cell in grid.cells():
        print("done" if place.result(cell) is not None else "to do", cell.digest, cell.name)
    cells = grid.cells()
    done = [result for cell in cells if (result := place.result(cell)) is not None]
    seconds = sum(result["seconds"] for result in done)
    print(f"{len(done)} of {len(cells)} cells are done; they took {seconds / 60:.1f} minutes of one core")


if __name__ == "__main__":
    sys.exit(main())
