"""The lines that start a run: on one device, on several of a machine, by a launcher on many."""

from __future__ import annotations

import shlex


def launch_lines(recipe: str, *, devices: int = 8, nodes: int = 4) -> dict[str, str]:
    """Each way to start ``recipe``, by what it is for.

    Args:
        recipe: The file or preset.
        devices: Of a machine, where there are several.
        nodes: Machines, where there are several.
    """
    train = f"train {shlex.quote(recipe)}"
    torchrun = f"torchrun --nnodes {nodes} --nproc-per-node {devices} --rdzv-backend c10d --rdzv-endpoint HOST:29500"
    slurm = f"srun --nodes {nodes} --ntasks-per-node {devices} --gpus-per-node {devices}"
    return {
        "one device": f"vlc {train}",
        f"{devices} devices of this machine": f"vlc {train} --devices {devices}",
        f"{nodes} machines, on each of them": f"{torchrun} -m vlc_cli {train}",
        f"{nodes} machines listed in the file hosts, by DeepSpeed's launcher": (
            f"deepspeed --hostfile hosts --module vlc_cli {train}"
        ),
        f"{nodes} machines under Slurm": f"{slurm} vlc {train}",
    }
