"""Exact search against the bare matrix product with a running top-k, and what a graph of neighbours finds of it.

Run: ``python benchmarks/search.py [--rows N] [--graph-rows N] [--queries Q …] [--turns T]``. Both searches compare the
same queries with the same blocks of a million unit vectors of 512 numbers and keep the ten best. The peer holds them in
memory as float32 and is as short as it can be: the fastest product at hand, ``torch.cat`` with what was best so far,
``torch.topk``. Ours has opened a folder's index as ``vlc search`` does: a matrix that is mapped from a file, its pages
found at the first search, which is timed apart; the peer over the same file shows what mapping costs by itself. They
take turns in one process, so that a busy machine slows both. Ratios are of processor time and of wall time, medians of
the turns with the least and the most. An exact search should take at most 1.1 × the time of the peer.

The graph (usearch) is built on ``--graph-rows`` vectors and searched with ever more candidates; recall@10 is the share
of the ten best by exact search that it finds. Two kinds of vectors: clustered, as embeddings of images are, and without
any structure, which no index can do much with in so many dimensions.
"""

from __future__ import annotations

import argparse
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
from vlc_plugin_search.indexing.exact import BLOCK, best
from vlc_plugin_search.indexing.vectors import map_matrix

WIDTH, K = 512, 10
RECALL_QUERIES = 1000


class Times(NamedTuple):
    """Seconds that something took."""

    wall: float
    processor: float


def timed(work: Callable[[], Any]) -> Times:
    """What ``work`` takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Times(time.perf_counter() - wall, time.process_time() - processor)


def bare(query_QD: Tensor, row_ND: Tensor, k: int = K) -> tuple[Tensor, Tensor]:
    """The matrix product by blocks with a running top-k, and nothing else."""
    score_QK = torch.empty(len(query_QD), 0)
    row_QK = torch.empty(len(query_QD), 0, dtype=torch.int64)
    for first in range(0, len(row_ND), BLOCK):
        block_QR = product(query_QD, row_ND[first : first + BLOCK])
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


def clustered(count: int, seed: int, *, share: float = 0.7, rank: int = 48) -> NDArray[np.float32]:
    """Things of 2,000 kinds that differ in 48 ways, and a little in all others, as embeddings of photographs do.

    ``share`` of an embedding is its kind's. Queries drawn with another seed are of the same kinds.
    """
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    kinds = unit(fixed.standard_normal((2000, WIDTH), dtype=np.float32))
    ways = unit(fixed.standard_normal((rank, WIDTH), dtype=np.float32))
    own = rng.standard_normal((count, rank), dtype=np.float32) @ ways / rank**0.5
    own += 0.2 * rng.standard_normal((count, WIDTH), dtype=np.float32) / WIDTH**0.5
    return unit(share * kinds[rng.integers(0, len(kinds), count)] + (1 - share) * own)


def exact(rows: int, queries: list[int], turns: int, folder: Path) -> None:
    """Prints the times of exact search and of the peer."""
    made = np.lib.format.open_memmap(folder / "f32.npy", mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    half = np.lib.format.open_memmap(folder / "f16.npy", mode="w+", dtype=np.float16, shape=(rows, WIDTH))
    for number, first in enumerate(range(0, rows, 1 << 16)):
        made[first : first + (1 << 16)] = clustered(min(1 << 16, rows - first), number + 1)
        half[first : first + (1 << 16)] = made[first : first + (1 << 16)]
    made.flush()
    half.flush()
    row_ND = torch.from_numpy(np.array(made))
    query_1D = torch.from_numpy(clustered(1, 10**6))
    mapped = {name: torch.from_numpy(map_matrix(folder / f"{name}.npy", (rows, WIDTH))) for name in ("f32", "f16")}
    for name, matrix in mapped.items():
        once = timed(partial(best, query_1D, matrix.split(BLOCK), K))
        print(
            f"{name}: the first search, which maps the file, takes {once.wall:.2f} s ({once.processor:.2f} s)",
            flush=True,
        )
    for count in queries:
        query_QD = torch.from_numpy(clustered(count, 10**6))
        cases: dict[str, Callable[[], Any]] = {
            "bare product and top-k": partial(bare, query_QD, row_ND),
            "bare, from the mapped file": partial(bare, query_QD, mapped["f32"]),
            "float32 index": partial(best, query_QD, mapped["f32"].split(BLOCK), K),
            "float16 index": partial(best, query_QD, mapped["f16"].split(BLOCK), K),
        }
        found = {name: work() for name, work in cases.items()}
        same = (found["bare product and top-k"][1].numpy() == found["float32 index"][1]).mean()
        taken = [{name: timed(work) for name, work in cases.items()} for _ in range(turns)]
        report(f"{rows:,} × {WIDTH}, {count} queries (same rows: {same:.4f})", taken)


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


def graph(rows: int, folder: Path, *, connectivity: int, expansion: int) -> None:
    """Prints what a graph finds of the ten best, by the candidates that are followed."""
    for name, draw in {"clustered": clustered, "without structure": structureless}.items():
        row_ND = draw(rows, 1)
        query_QD = torch.from_numpy(draw(RECALL_QUERIES, 10**6))
        file = folder / "rows.usearch"
        index = Index(ndim=WIDTH, metric="ip", dtype="f16", connectivity=connectivity, expansion_add=expansion)
        built = timed(partial(index.add, np.arange(rows, dtype=np.uint64), row_ND))
        index.save(str(file))
        print(f"{rows:,} × {WIDTH} {name}: built in {built.wall:.0f} s, {built.processor:.0f} s of processor time")
        _, expected = best(query_QD, torch.from_numpy(row_ND).half().split(BLOCK), K)
        for followed in (32, 64, 128, 256, 512, 1024, 4096):
            found: list[Any] = []
            took = timed(lambda: found.append(best_by_graph(query_QD, file, K, expansion=followed)))  # noqa: B023
            shared = [len(set(a) & set(b)) for a, b in zip(expected.tolist(), found[0][1].tolist(), strict=True)]
            recall = sum(shared) / expected.size
            each = 1000 * took.processor / RECALL_QUERIES
            print(f"  expansion {followed:5d}: recall@{K} {recall:.4f}, {each:.2f} ms of a query", flush=True)


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="compared exactly; 0 for none")
    parser.add_argument("--graph-rows", type=int, default=50_000, help="in the graph; 0 for none")
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
        if given.graph_rows:
            graph(given.graph_rows, Path(folder), connectivity=given.connectivity, expansion=given.expansion)


if __name__ == "__main__":
    main()
