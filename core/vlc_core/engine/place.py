"""Which rank this process is, by whoever started it.

torchrun, DeepSpeed's launcher and ``vlc train --devices`` set RANK, WORLD_SIZE and MASTER_ADDR; Slurm's ``srun`` sets
names of its own; without any of them the process is alone and no port is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from vlc_core.errors import RecipeError

_USUAL = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


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
    if "RANK" in environment or "WORLD_SIZE" in environment:
        names, remedy = _USUAL, "set RANK, WORLD_SIZE and LOCAL_RANK, or unset all three"
    elif "SLURM_STEP_ID" in environment and environment.get("SLURM_NTASKS", "1") != "1":
        names, remedy = _SLURM, "start it with srun, or unset SLURM_STEP_ID"
    else:
        return Place(0, 1, 0)
    found = Place(*(_number(environment, name, remedy) for name in names))
    if found.rank >= found.world:
        said = ", ".join(f"{name}={environment.get(name, 0)}" for name in names)
        raise RecipeError(f"the launcher set {said}, and a rank counts from 0 to below the number of ranks: {remedy}")
    return found


def _number(environment: Mapping[str, str], name: str, remedy: str) -> int:
    value = environment.get(name, "0" if name == "LOCAL_RANK" else "")
    if not re.fullmatch(r"\d{1,9}", value):
        raise RecipeError(f"the launcher left {name} {'unset' if not value else f'at {value!r}'}: {remedy}")
    return int(value)


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of several ranks."""
    return place(environment).world > 1
