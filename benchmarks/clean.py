"""How fast `vlc data clean` is, what memory it takes, and whether a pair costs the same in ten times as many.

    python benchmarks/clean.py
    python benchmarks/clean.py --pairs 1000000 --turns 3

Pairs are made beforehand and not timed: URLs of about 60 characters, a fifth of them on several pairs and one on 0.2 %
of all; texts of about eight words, drawn by a Zipf law of exponent 1.3 out of a million, 15 % of them out of 20,000
texts that many images share. ``--marks`` writes some texts with capitals and punctuation, which costs a rewriting.

Timed is the whole call in a fresh process, after its imports: every rule that needs no image, pairs of words included,
list, dropped pairs and report. The vocabulary is a tenth of the number of pairs. Memory is VmHWM of that process, all
its libraries included; processor time is user and system time of all its threads, which other work on the machine
disturbs least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

CHUNK = 250_000
WORDS = 1_000_000
SHARED = 20_000
EXPONENT = 1.3
RATE, MEMORY, RATIO = 350_000, 4.0, 1.3


def main() -> None:
    """Makes pairs, filters them in fresh processes, prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--marks", type=float, default=0.0, help="share of texts with capitals and punctuation")
    parser.add_argument("--folder", type=Path, help="where data is made, and kept; a temporary one if not given")
    parser.add_argument("--child", nargs=2, metavar=("TABLE", "OUT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(Path(given.child[0]), Path(given.child[1]), given.threads, given.memory)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        cost = {pairs: measure(pairs, given, Path(temporary)) for pairs in given.pairs}
    if len(cost) > 1:
        least, most = min(cost), max(cost)
        wall, processor = (cost[most][i] / cost[least][i] for i in (0, 1))
        print(
            f"cost of a pair at {most:,} against {least:,}: {wall:.2f} × by the clock, {processor:.2f} × in processor "
            f"time; {'within' if wall <= RATIO else 'over'} {RATIO} ×"
        )


def measure(pairs: int, given: argparse.Namespace, temporary: Path) -> tuple[float, float]:
    """Seconds a pair, by the clock and of the processor: medians."""
    table = (given.folder or temporary) / f"pairs-{pairs}-{given.marks:g}.parquet"
    if not table.exists():
        make(table, pairs, given.marks)
    found = []
    for turn in range(given.turns):
        command = [sys.executable, __file__, "--child", str(table), str(temporary / f"out-{pairs}-{turn}")]
        command += ["--threads", str(given.threads), "--memory", given.memory]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    wall, processor = (statistics.median(one[name] for one in found) for name in ("wall", "processor"))
    rates = sorted(pairs / one["wall"] for one in found)
    peak = max(one["peak"] for one in found) / 1e9
    print(
        f"{pairs:,} pairs, {given.threads} threads, --memory {given.memory}: {pairs / wall:,.0f} pairs/s "
        f"({rates[0]:,.0f} … {rates[-1]:,.0f}), {processor:.1f} s of processor time in {wall:.1f} s, which would be "
        f"{given.threads * pairs / processor:,.0f} pairs/s with {given.threads} processors to itself; "
        f"peak {peak:.2f} GB; {found[0]['kept']:,} kept"
    )
    for name, number in found[0]["rules"].items():
        print(f"    {name}: {number:,}")
    if pairs >= 10_000_000:
        print(f"    targets: {RATE:,} pairs/s, {MEMORY:g} GB")
    return wall / pairs, processor / pairs


def child(table: Path, out: Path, threads: int, memory: str) -> None:
    """Filters ``table`` in this process and prints what that took."""
    from vlc_core.naming import find_sources
    from vlc_core.plugins import plugins
    from vlc_plugin_curate.cleaning.chosen import limits_of
    from vlc_plugin_curate.cleaning.clean import clean
    from vlc_plugin_curate.cleaning.job import Job
    from vlc_plugin_curate.cleaning.options import Filter

    registry = plugins().registry
    specs = find_sources(str(table), registry)
    rows = pq.read_metadata(table).num_rows
    chosen = Filter(min_side=None, max_aspect=None, vocabulary=rows // 10)
    job = Job(chosen=chosen, limits=limits_of(memory, threads, out))
    began, before = time.perf_counter(), processor_time()
    report = clean(specs, out, job, registry)
    wall, processor = time.perf_counter() - began, processor_time() - before
    rules = {rule.name: rule.alone.pairs for rule in report.rules}
    print(
        json.dumps(
            {"wall": wall, "processor": processor, "peak": most_resident(), "kept": report.kept.pairs, "rules": rules}
        )
    )


def processor_time() -> float:
    """Seconds that all threads of this process have had."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def most_resident() -> int:
    """VmHWM of this process in bytes (``ru_maxrss`` would be inherited)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def make(path: Path, pairs: int, marks: float) -> None:
    """Writes a table of ``url`` and ``caption``."""
    rng = np.random.default_rng(0)
    words = pa.array([spelled(n) for n in range(WORDS)])
    shared = texts(SHARED, words, rng)
    with pq.ParquetWriter(path, pa.schema([("url", pa.string()), ("caption", pa.string())])) as writer:
        for start in range(0, pairs, CHUNK):
            size = min(CHUNK, pairs - start)
            often = shared.take(pa.array((SHARED * rng.random(size) ** 3).astype(np.int64)))
            caption = pc.if_else(pa.array(rng.random(size) < 0.15), often, texts(size, words, rng))
            marked = pc.binary_join_element_wise(pc.utf8_capitalize(caption), pa.scalar("."), "")
            caption = pc.if_else(pa.array(rng.random(size) < marks), marked, caption)
            image = np.where(
                rng.random(size) < 0.2, rng.integers(0, start + size, size), np.arange(start, start + size)
            )
            writer.write_table(
                pa.table({"url": urls(np.where(rng.random(size) < 0.002, 0, image)), "caption": caption})
            )


def spelled(number: int) -> str:
    """A word of two to eight letters for a number, the shorter for the smaller."""
    word = ""
    while True:
        word += "bcdfghklmnprstvz"[number % 16] + "aeiou"[number // 16 % 5]
        number //= 80
        if number == 0:
            return word


def texts(count: int, words: pa.Array, rng: np.random.Generator) -> pa.Array:
    """Texts of words by a Zipf law; one in twenty is longer than most."""
    lengths = np.clip(rng.poisson(8, count) + (rng.random(count) < 0.05) * rng.integers(0, 20, count), 1, 60)
    tail = EXPONENT - 1
    drawn = (1 - rng.random(lengths.sum()) * (1 - WORDS**-tail)) ** (-1 / tail) - 1
    flat = words.take(pa.array(np.minimum(drawn, WORDS - 1).astype(np.int64)))
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pc.binary_join(pa.ListArray.from_arrays(ends, flat), " ")


def urls(image: NDArray[np.int64]) -> pa.Array:
    """Names of images as they stand in lists of links."""
    host, folder = pa.array((image % 5000).astype(str)), pa.array((image * 2654435761 % 2**32).astype(str))
    parts = ("https://cdn", host, ".example.com/media/images/", folder, "/", pa.array(image.astype(str)), ".jpg")
    return pc.binary_join_element_wise(*parts, "")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
