"""Exact search against the bare matrix product with a running top-k, and what a graph of neighbours finds of it.

Run: ``python benchmarks/search.py [--rows N] [--graph-rows N …] [--queries Q …] [--turns T]``. Both searches compare
the same queries with the same blocks of a million unit vectors of 512 numbers and keep the ten best. The peer holds
them as float32 in memory of its own, in huge pages where the system grants numpy's wish for them, and is as short as it
can be: the fastest product at hand, ``torch.cat`` with what was best so far, ``torch.topk``. Ours has opened a folder's
index as ``vlc search`` does: a matrix that is mapped from a file which has just been written, its pages found at the
first search, which is timed apart; the peer over the same file shows what mapping costs by itself, and ours over the
peer's memory what the search does. They take turns in one process, in an order that is drawn anew, so that a busy
machine slows all. Ratios are of processor time and of wall time, medians of the turns with the least and the most. An
exact search should take at most 1.1 × the time of the peer.

The graph (usearch) grows to each of ``--graph-rows`` and is searched with ever more candidates; recall@10 is the share
of the ten best by exact search that it finds. Two sorts of vectors (``--vectors``): clustered, as embeddings of images
are, and without any structure, which no index can do much with in so many dimensions. How hard the clustered ones are
is a matter of how many share a kind: ``--kinds 400`` with 200,000 rows is as dense as a million of 2,000 kinds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from usearch.index import Index

from vlc_core.products import product
from vlc_plugin_search.indexing.ann import best_by_graph
from vlc_plugin_search.indexing.exact import best, rows_at_once
from vlc_plugin_search.indexing.matrix import map_matrix, write_matrix

WIDTH, K = 512, 10
RECALL_QUERIES = 1000
CHUNK = 10_000
KINDS = 2000
SORTS = ["clustered", "structureless"]
FOLLOWED = (32, 64, 128, 256, 512, 1024)


class Times(NamedTuple):
    """Seconds that something took."""

    wall: float
    processor: float


class Given(NamedTuple):
    """How a graph is made: links of a vector, candidates for them, at a time, of vectors of how many kinds."""

    connectivity: int
    expansion: int
    threads: int
    kinds: int


def timed(work: Callable[[], Any]) -> Times:
    """What ``work`` takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Times(time.perf_counter() - wall, time.process_time() - processor)


def bare(query_QD: Tensor, row_ND: Tensor, k: int = K) -> tuple[Tensor, Tensor]:
    """The matrix product by blocks with a running top-k, and nothing else."""
    score_QK = torch.empty(len(query_QD), 0)
    row_QK = torch.empty(len(query_QD), 0, dtype=torch.int64)
    at_once = rows_at_once(len(query_QD))
    for first in range(0, len(row_ND), at_once):
        block_QR = product(query_QD, row_ND[first : first + at_once])
        rows_QR = torch.arange(first, first + block_QR.shape[1]).expand(len(query_QD), -1)
        score_QK, chosen = torch.cat([score_QK, block_QR], 1).topk(k, dim=1)
        row_QK = torch.cat([row_QK, rows_QR], 1).gather(1, chosen)
    return score_QK, row_QK


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one."""
    unit_rows: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows


def structureless(count: int, seed: int) -> NDArray[np.float32]:
    """Directions that have nothing to do with each other."""
    return unit(np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32))


def clustered(count: int, seed: int, *, kinds: int = KINDS, share: float = 0.7, rank: int = 48) -> NDArray[np.float32]:
    """Things of ``kinds`` kinds that differ in 48 ways, and a little in all others, as embeddings of photographs do.

    ``share`` of an embedding is its kind's. Queries drawn with another seed are of the same kinds.
    """
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    kind_KD = unit(fixed.standard_normal((kinds, WIDTH), dtype=np.float32))
    ways = unit(fixed.standard_normal((rank, WIDTH), dtype=np.float32))
    own = rng.standard_normal((count, rank), dtype=np.float32) @ ways / rank**0.5
    own += 0.2 * rng.standard_normal((count, WIDTH), dtype=np.float32) / WIDTH**0.5
    return unit(share * kind_KD[rng.integers(0, kinds, count)] + (1 - share) * own)


def exact(rows: int, queries: list[int], turns: int, folder: Path) -> None:
    """Prints the times of exact search and of the peer."""
    row_ND = np.empty((rows, WIDTH), np.float32)
    for first in range(0, rows, 1 << 16):
        row_ND[first : first + (1 << 16)] = clustered(min(1 << 16, rows - first), 1 + first)
    for name, dtype in (("f32", np.float32), ("f16", np.float16)):
        pieces = (row_ND[first : first + 256].astype(dtype) for first in range(0, rows, 256))
        for _ in write_matrix(folder / f"{name}.npy", pieces, shape=(rows, WIDTH), dtype=dtype):
            pass
    memory_ND = torch.from_numpy(row_ND)
    query_1D = torch.from_numpy(clustered(1, 10**6))
    mapped = {name: torch.from_numpy(map_matrix(folder / f"{name}.npy", (rows, WIDTH))) for name in ("f32", "f16")}
    for name, matrix in mapped.items():
        once = timed(partial(best, query_1D, matrix.split(rows_at_once(1)), K))
        print(
            f"{name}: the first search, which maps the file, takes {once.wall:.2f} s ({once.processor:.2f} s)",
            flush=True,
        )
    for count in queries:
        query_QD = torch.from_numpy(clustered(count, 10**6))
        at_once = rows_at_once(count)
        cases: dict[str, Callable[[], Any]] = {
            "bare product and top-k": partial(bare, query_QD, memory_ND),
            "bare, from the mapped file": partial(bare, query_QD, mapped["f32"]),
            "float32 index": partial(best, query_QD, mapped["f32"].split(at_once), K),
            "float32, from memory": partial(best, query_QD, memory_ND.split(at_once), K),
            "float16 index": partial(best, query_QD, mapped["f16"].split(at_once), K),
        }
        found = {name: work() for name, work in cases.items()}
        same = (found["bare product and top-k"][1].numpy() == found["float32 index"][1]).mean()
        taken = [turn(cases) for _ in range(turns)]
        report(f"{rows:,} × {WIDTH}, {count} queries (same rows: {same:.4f})", taken)


def turn(cases: dict[str, Callable[[], Any]]) -> dict[str, Times]:
    """What each case takes, in an order of its own: who comes after whom finds other things in the caches."""
    order = random.sample(list(cases), len(cases))
    taken = {name: timed(cases[name]) for name in order}
    return {name: taken[name] for name in cases}


def report(title: str, taken: list[dict[str, Times]]) -> None:
    """Prints the median seconds and ratios of every case to the first."""
    print(title)
    first = next(iter(taken[0]))
    for name in taken[0]:
        wall = statistics.median(turn[name].wall for turn in taken)
        for clock in ("wall", "processor"):
            ratios = [getattr(turn[name], clock) / getattr(turn[first], clock) for turn in taken]
            told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"
            print(f"  {name:26s} {wall:7.3f} s wall   ratio of {clock} time {told}", flush=True)


def graph(sizes: list[int], kind: str, folder: Path, given: Given) -> None:
    """Prints what a graph finds of the ten best as it grows, by the candidates that are followed."""
    draw = partial(clustered, kinds=given.kinds) if kind == "clustered" else structureless
    query_QD = torch.from_numpy(draw(RECALL_QUERIES, 10**6))
    connectivity, expansion = given.connectivity, given.expansion
    index = Index(ndim=WIDTH, metric="ip", dtype="f16", connectivity=connectivity, expansion_add=expansion)
    half_ND = torch.empty(max(sizes), WIDTH, dtype=torch.float16)
    there, wall, processor = 0, 0.0, 0.0
    for rows in sorted(sizes):
        for first in range(there, rows, CHUNK):
            stop = min(first + CHUNK, rows)
            half_ND[first:stop] = torch.from_numpy(draw(stop - first, 1 + first))
            numbers = np.arange(first, stop, dtype=np.uint64)
            took = timed(partial(index.add, numbers, half_ND[first:stop].numpy(), threads=given.threads))
            wall, processor = wall + took.wall, processor + took.processor
        there = rows
        index.save(str(folder / "rows.usearch"))
        made = (
            f"connectivity {connectivity}, expansion {expansion}, in {wall:.0f} s, {processor:.0f} s of the processor"
        )
        print(f"{rows:,} × {WIDTH} {kind}: {made}", flush=True)
        _, expected = best(query_QD, half_ND[:rows].split(rows_at_once(RECALL_QUERIES)), K)
        for followed in FOLLOWED:
            recall(query_QD, folder / "rows.usearch", expected, followed)


def recall(query_QD: Tensor, file: Path, expected: NDArray[np.int64], followed: int) -> None:
    """Prints what of ``expected`` a search with ``followed`` candidates finds."""
    found: list[Any] = []
    took = timed(lambda: found.append(best_by_graph(query_QD, file, K, expansion=followed)))
    shared = [len(set(a) & set(b)) for a, b in zip(expected.tolist(), found[0][1].tolist(), strict=True)]
    each = 1000 * took.processor / RECALL_QUERIES
    print(
        f"  expansion {followed:5d}: recall@{K} {sum(shared) / expected.size:.4f}, {each:.2f} ms of a query", flush=True
    )


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="compared exactly; 0 for none")
    parser.add_argument("--graph-rows", type=int, nargs="*", default=[50_000], help="in the graph; nothing for none")
    parser.add_argument("--vectors", nargs="+", choices=SORTS, default=SORTS, help="in the graph")
    parser.add_argument("--kinds", type=int, default=KINDS, help="of clustered vectors in the graph")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--connectivity", type=int, default=32)
    parser.add_argument("--expansion", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        if given.rows:
            exact(given.rows, given.queries, given.turns, Path(folder))
        how = Given(given.connectivity, given.expansion, given.threads, given.kinds)
        for kind in given.vectors if given.graph_rows else ():
            graph(given.graph_rows, kind, Path(folder), how)


if __name__ == "__main__":
    main()
