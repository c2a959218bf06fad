"""A long run needs no more memory and no more open files at its end than soon after its start.

In 600 steps what is kept of each step shows, a graph or a batch of real size; ``VLC_SOAK_STEPS=20000`` shows a megabyte
in a thousand steps.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path

import pytest

STEPS = int(os.environ.get("VLC_SOAK_STEPS", "600"))
SETTLED = STEPS // 3
"""Steps until allocators have what they keep."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")


def sizes(process: subprocess.Popen[str], metrics: Path) -> list[tuple[int, float, int]]:
    """While it runs: steps taken, resident memory in MiB, open files."""
    taken: list[tuple[int, float, int]] = []
    of = Path(f"/proc/{process.pid}")
    while process.poll() is None:
        step = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
        try:
            memory = int((of / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
            taken.append((step, memory, len(list((of / "fd").iterdir()))))
        except OSError:  # it has just ended
            break
        time.sleep(0.05)
    return [one for one in taken if SETTLED < one[0] < STEPS]


def test_memory_and_open_files_do_not_grow(tiny: str, vlc_path: str, environment: dict[str, str], tmp_path: Path):
    (tmp_path / "tiny.yaml").write_text(tiny)
    sets = [f"train.steps={STEPS}", "checkpoint.every=100", "evaluate.every=200", "train.batch_size=8"]
    process = subprocess.Popen(
        [vlc_path, "train", "tiny.yaml", *(f"--set={one}" for one in sets)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    taken = sizes(process, tmp_path / "run" / "metrics.jsonl")
    assert process.wait() == 0
    assert len({step for step, _, _ in taken}) > 10, "it was too quick to be watched"
    # Allocators take a thousand steps, and a few evaluations, to have what they keep.
    line = statistics.linear_regression([step for step, _, _ in taken], [memory for _, memory, _ in taken])
    assert 1000 * line.slope < (30.0 if STEPS < 5000 else 1.0)
    files = [count for _, _, count in taken]
    assert max(files[len(files) // 2 :]) <= max(files[: len(files) // 2])
