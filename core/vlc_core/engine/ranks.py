"""Joining the other ranks of a run, deciding for them, and noticing that one is gone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from vlc_core import distributed
from vlc_core.engine.place import Place
from vlc_core.errors import RankLost, RecipeError, VlcError

T = TypeVar("T")

_BROKEN = re.compile(r"gloo|NCCL|Connection (closed|reset) by peer|Broken pipe", re.IGNORECASE)


def device(local_rank: int) -> torch.device:
    """The accelerator of this rank, or the CPU."""
    if not torch.cuda.is_available() or os.environ.get("DS_ACCELERATOR") == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def join(here: Place, on: torch.device, *, seconds: float) -> None:
    """Makes the process group of the run: gloo on the CPU, NCCL on CUDA.

    Args:
        here: Which rank this is, of how many.
        on: Its device.
        seconds: How long a rank waits for the others before it gives up.
    """
    backend = "nccl" if on.type == "cuda" else "gloo"
    if on.type == "cuda":
        torch.cuda.set_device(on)
    os.environ["LOCAL_RANK"] = str(here.local_rank)  # DeepSpeed reads it to name its device
    if here.world == 1:
        alone: Any = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=alone, rank=0, world_size=1)
        return
    address, port = _master(os.environ)
    dist.init_process_group(
        backend,
        init_method=f"tcp://{address}:{port}",
        rank=here.rank,
        world_size=here.world,
        timeout=timedelta(seconds=seconds),
    )


def leave() -> None:
    """Leaves the process group, so that this process may join another."""
    deepspeed = sys.modules.get("deepspeed")  # loaded only where an engine was made
    if not dist.is_initialized():
        return
    if deepspeed is None or deepspeed.comm.comm.cdb is None:
        dist.destroy_process_group()
    else:
        deepspeed.comm.destroy_process_group()  # forgets the groups that it remembers
        deepspeed.comm.comm.cdb = None


def on_first(make: Callable[[], T]) -> T:
    """What ``make`` gives on rank 0, on every rank: for what one rank must decide or read for all.

    Raises:
        VlcError: What ``make`` raised there, on every rank, so that none waits for another.
    """
    made: tuple[T | None, VlcError | None] = (None, None)
    if distributed.rank() == 0:
        try:
            made = (make(), None)
        except VlcError as error:
            made = (None, error)
    value, failure = distributed.broadcast_object(made)
    if failure is not None:
        raise failure
    return value  # type: ignore[return-value]


@contextmanager
def losses_named() -> Iterator[None]:
    """Says that a rank was lost where a collective broke off, which its own error tells in terms of sockets.

    Raises:
        RankLost: Instead of that error.
    """
    try:
        yield
    except RuntimeError as error:
        if distributed.world() == 1 or not (isinstance(error, dist.DistError) or _BROKEN.search(str(error))):
            raise
        raise RankLost(
            f"rank {distributed.rank()} lost touch with another rank ({str(error).splitlines()[0][:200]}): look for "
            f"what the other ranks say, and go on with --resume"
        ) from error


def _master(environment: Mapping[str, str]) -> tuple[str, str]:
    if "MASTER_ADDR" in environment:
        return environment["MASTER_ADDR"], environment.get("MASTER_PORT", "29500")
    if "SLURM_STEP_NODELIST" in environment:
        port = 20000 + int(environment.get("SLURM_JOB_ID", "0")) % 20000
        return _first_host(environment["SLURM_STEP_NODELIST"]), environment.get("MASTER_PORT", str(port))
    raise RecipeError("several ranks but no MASTER_ADDR: set it to the host of rank 0, and MASTER_PORT to a free port")


def _first_host(nodes: str) -> str:
    """The first of a Slurm node list: ``gpu[03-07,9],cpu1`` → ``gpu03``."""
    match = re.match(r"([^\[,]+)(?:\[(\w+))?", nodes)
    return f"{match[1]}{match[2] or ''}" if match else nodes
