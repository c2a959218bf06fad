"""Which rank this process is, by whoever started it, and joining the others.

torchrun, DeepSpeed's launcher and ``vlc train --devices`` set RANK, WORLD_SIZE and MASTER_ADDR; Slurm's ``srun`` sets
names of its own; without any of them the process is alone and no port is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from vlc_core.errors import RecipeError

TIMEOUT = timedelta(minutes=10)


class Place(NamedTuple):
    """Where a process stands among the ranks of a run."""

    rank: int
    world: int
    local_rank: int


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """This process's place.

    Raises:
        RecipeError: The launcher set a part of what it must set.
    """
    try:
        if "RANK" in environment or "WORLD_SIZE" in environment:
            rank, world = int(environment["RANK"]), int(environment["WORLD_SIZE"])
            return Place(rank, world, int(environment.get("LOCAL_RANK", "0")))
        if "SLURM_STEP_ID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
            rank, world = int(environment["SLURM_PROCID"]), int(environment["SLURM_NTASKS"])
            return Place(rank, world, int(environment["SLURM_LOCALID"]))
    except (KeyError, ValueError) as error:
        raise RecipeError(
            f"the launcher left {error} unset or not a number: set RANK, WORLD_SIZE and LOCAL_RANK, or unset all three"
        ) from error
    return Place(0, 1, 0)


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of several ranks."""
    return place(environment).world > 1


def device(local_rank: int) -> torch.device:
    """The accelerator of this rank, or the CPU."""
    if not torch.cuda.is_available() or os.environ.get("DS_ACCELERATOR") == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def join(here: Place, on: torch.device) -> None:
    """Makes the process group of the run: gloo on the CPU, NCCL on CUDA."""
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
        timeout=TIMEOUT,
    )


def leave() -> None:
    """Leaves the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


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
