"""What a manifest of ten million rows costs in memory: in the process that reads it, and in each worker beside it.

The table is written to a temporary folder, with paths and captions of ordinary length, and read by a fresh process,
which then forks workers that touch rows at random. Counted are the process's anonymous pages beyond those of the
imports, the file that it maps (whole, though the system may drop its pages), and of each worker what is its alone.

    python benchmarks/manifest_memory.py
    python benchmarks/manifest_memory.py --rows 1000000 --format csv --workers 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

CHUNK = 500_000
LIMIT = 1.2e9

READ = """
import json, multiprocessing, re, sys, threading, time
import numpy as np
from vlc_plugin_data.manifest import Manifest

def kilobytes(file, name):
    return sum(int(n) for n in re.findall(rf"^{name}:\\s+(\\d+) kB", open(file).read(), re.M)) * 1024

def touch(seed):
    for row in np.random.default_rng(seed).integers(0, len(data), 20_000):
        data.texts(int(row))
    return kilobytes("/proc/self/smaps_rollup", "Private_Dirty")

peaks = []

def watch(done):
    while not done.wait(0.02):
        peaks.append(kilobytes("/proc/self/status", "RssAnon"))

empty = kilobytes("/proc/self/status", "RssAnon")
done = threading.Event()
watcher = threading.Thread(target=watch, args=(done,))
watcher.start()
began = time.perf_counter()
data = Manifest(path=sys.argv[1], text="caption")
seconds = time.perf_counter() - began
done.set()
watcher.join()
held = kilobytes("/proc/self/status", "RssAnon")
mapped = sum(int(line.split()[0].partition("-")[2], 16) - int(line.split()[0].partition("-")[0], 16)
             for line in open("/proc/self/maps") if "vlc-" in line)
with multiprocessing.get_context("fork").Pool(int(sys.argv[2])) as pool:
    workers = pool.map(touch, range(int(sys.argv[2])), chunksize=1)
print(json.dumps({"rows": len(data), "seconds": seconds, "held": held - empty, "peak": max(peaks) - empty,
                  "mapped": mapped, "workers": workers}))
"""


def main() -> None:
    """Writes the table, reads it, prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--format", choices=["csv", "parquet"], default="parquet")
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table.{given.format}"
        _write(path, given.rows)
        command = [sys.executable, "-c", READ, str(path), str(given.workers)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        _tell(json.loads(done.stdout), path)


def _write(path: Path, rows: int) -> None:
    began = time.perf_counter()
    writer = None
    for first in range(0, rows, CHUNK):
        table = _chunk(first, min(CHUNK, rows - first))
        if writer is None:
            kind = pq.ParquetWriter if path.suffix == ".parquet" else pa.csv.CSVWriter
            writer = kind(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    print(f"{rows:,} rows written in {time.perf_counter() - began:.0f} s: {path.stat().st_size / 1e6:,.0f} MB")


def _chunk(first: int, rows: int) -> pa.Table:
    numbers = range(first, first + rows)
    return pa.table(
        {
            "image": [f"images/{n // 10_000:05d}/{n:09d}.jpg" for n in numbers],
            "caption": [f"photograph {n} of a dog that runs across a field" for n in numbers],
        }
    )


def _tell(found: dict[str, float | list[float]], path: Path) -> None:
    held, peak, mapped, seconds = (float(found[name]) for name in ("held", "peak", "mapped", "seconds"))  # type: ignore[arg-type]
    workers = [float(one) for one in found["workers"]]  # type: ignore[union-attr]
    total = held + mapped + sum(workers)
    print(
        f"{found['rows']:,} rows of {path.suffix[1:]} read in {seconds:.0f} s: {held / 1e6:,.0f} MB of memory (at most "
        f"{peak / 1e6:,.0f} while reading) and {mapped / 1e6:,.0f} MB mapped from a file; {len(workers)} workers have "
        f"{', '.join(f'{one / 1e6:.0f}' for one in workers)} MB of their own; in all {total / 1e6:,.0f} MB, "
        f"{'within' if max(total, peak) <= LIMIT else 'over'} {LIMIT / 1e6:,.0f} MB"
    )


if __name__ == "__main__":
    main()
