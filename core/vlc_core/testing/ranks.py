"""Runs a function on several ranks of one machine, for tests of what ranks exchange.

def summed(rank, world):
    return all_sum(torch.ones(1))

def test_the_sum_counts_the_ranks():
    assert run_on_ranks(summed, 2) == [torch.tensor([2.0])] * 2
"""

from __future__ import annotations

import inspect
import io
import multiprocessing
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.distributed as dist

from vlc_core.errors import RankLost
from vlc_core.testing.modules import module_at


def run_on_ranks(function: Callable[..., Any], world: int, *arguments: Any, timeout: float = 120.0) -> list[Any]:
    """Calls ``function(rank, world, *arguments)`` in ``world`` fresh processes that form a gloo process group.

    Args:
        function: Defined at the top level of a file, which the processes load by its path, so that a test module
            need not be importable by name.
        world: How many processes.
        arguments: Tensors, numbers, strings, and lists, tuples and dicts of them.
        timeout: Seconds until a rank that has not answered counts as lost.

    Returns:
        What the function returned on each rank, in the order of ranks; of the same types as the arguments.

    Raises:
        RankLost: A rank raised, died or hung; the message holds its traceback.
    """
    context = _context()
    file, name = inspect.getfile(function), function.__qualname__
    with tempfile.TemporaryDirectory() as folder:
        started: list[tuple[BaseProcess, Connection]] = []
        try:
            for rank in range(world):
                ours, theirs = context.Pipe(duplex=False)
                store = f"file://{folder}/store"
                given = (file, name, rank, world, store, timeout, _pack(arguments), theirs)
                process: BaseProcess = context.Process(target=_rank, args=given, daemon=True)
                process.start()
                theirs.close()
                started.append((process, ours))
            return _answers([ours for _, ours in started], time.monotonic() + timeout)
        finally:
            for process, ours in started:
                process.join(timeout=1.0)
                process.kill()
                process.join()
                ours.close()


def _context() -> ForkServerContext | SpawnContext:
    """Fresh processes, forked where that is possible from one that has done nothing but import torch."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed", "vlc_core.distributed"])
    return context


def _answers(connections: list[Connection], deadline: float) -> list[Any]:
    """What every rank sent, taken as it comes, so that the first failure ends the wait for the others."""
    answers: dict[int, Any] = {}
    while len(answers) < len(connections):
        open_ones = [c for rank, c in enumerate(connections) if rank not in answers]
        ready = wait(open_ones, max(0.0, deadline - time.monotonic()))
        if not ready:
            raise RankLost(f"ranks {sorted(set(range(len(connections))) - set(answers))} gave no answer in time")
        for rank in [rank for rank, c in enumerate(connections) if c in ready]:
            answers[rank] = _answer(rank, connections[rank])
    return [answers[rank] for rank in range(len(connections))]


def _answer(rank: int, connection: Connection) -> Any:
    try:
        ok, content = connection.recv()
    except EOFError:
        raise RankLost(f"rank {rank} died without an answer") from None
    if not ok:
        raise RankLost(f"rank {rank} raised:\n{content}")
    return _unpack(content)


def _rank(
    file: str,
    name: str,
    rank: int,
    world: int,
    store: str,
    timeout: float,
    arguments: bytes,
    connection: Connection,
) -> None:
    try:
        torch.set_num_threads(1)
        limit = timedelta(seconds=timeout)
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world, timeout=limit)
        result = getattr(module_at(file), name)(rank, world, *_unpack(arguments))
        connection.send((True, _pack(result)))
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        connection.send((False, traceback.format_exc()))


def _pack(value: Any) -> bytes:
    """By value, not through shared memory that ends with its process."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _unpack(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)
