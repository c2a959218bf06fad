"""Whether this machine can train, and what would make it slow."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from vlc_core.plugins import Plugins
from vlc_core.plugins.discovery import installed_version

Verdict = Literal["ok", "slow", "broken"]
PACKAGES = ("vlc-core", "torch", "deepspeed", "tokenizers", "safetensors", "pillow", "numpy", "transformers", "triton")
_SHARED = Path("/dev/shm")
_LEAST_SHARED = 1 << 30
_CGROUP = Path("/sys/fs/cgroup")
_PICTURE = (500, 375)
_DEEPSPEED = "import deepspeed; print(deepspeed.__version__)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        verdict: ``ok``, ``slow`` (it works, and could be faster) or ``broken``.
        found: What was found.
        cure: What to do about it; empty where there is nothing to do.
    """

    subject: str
    verdict: Verdict
    found: str
    cure: str = ""


def examine(plugins: Plugins) -> list[Finding]:
    """Looks at everything. Takes seconds, writes nothing."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _versions, _deepspeed, _devices, _processor, _threads, _memory, _shared_memory, _decoding,
    )  # fmt: skip
    return [*(finding for look in looks for finding in look()), *_plugins(plugins)]


def _versions() -> Iterator[Finding]:
    found = {name: installed_version(name) for name in PACKAGES}
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    missing = [name for name in PACKAGES[:7] if found[name] is None]
    told = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    if missing:
        yield Finding("packages", "broken", f"{told}; missing {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        yield Finding("packages", "ok", told)


def _deepspeed() -> Iterator[Finding]:
    """Imports DeepSpeed as training does, in a process of its own: it may end the one that it fails in."""
    command = [sys.executable, "-W", "ignore", "-c", _DEEPSPEED]
    environment = os.environ if _has_cuda() else {**os.environ, "DS_ACCELERATOR": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        yield Finding("deepspeed", "ok", f"{done.stdout.split()[-1]} can be imported")
        return
    said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    yield Finding("deepspeed", "broken", said, "pip install --force-reinstall deepspeed")


def _devices() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda or getattr(torch.version, "hip", None)
        cure = "install the driver, or unset CUDA_VISIBLE_DEVICES" if built else "install torch's CUDA build for a GPU"
        yield Finding("devices", "ok", "no GPU; runs are on the CPU", cure)
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        if properties.major < 8:
            yield Finding(f"cuda:{index}", "slow", f"{found}, without bf16", "set train.precision: fp32")
        else:
            yield Finding(f"cuda:{index}", "ok", f"{found}, bf16")


def _processor() -> Iterator[Finding]:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    low = any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    found = f"{_processor_name()}, {_cores()} cores, {capability}, {'bf16' if low else 'no bf16'}"
    if _has_cuda() or capability not in ("DEFAULT", "NO AVX"):
        cure = "" if low or _has_cuda() else "leave train.precision: fp32 on this CPU: bf16 would be emulated"
        yield Finding("cpu", "ok", found, cure)
    else:
        yield Finding("cpu", "slow", found, "its vector units are unknown to torch: use a build of torch for it")


def _threads() -> Iterator[Finding]:
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    setting = os.environ.get("OMP_NUM_THREADS")
    said = "OMP_NUM_THREADS is not set" if setting is None else f"OMP_NUM_THREADS={setting}"
    found = f"torch uses {threads} of {cores} cores, {said}"
    if threads > cores:
        yield Finding("threads", "slow", found, f"export OMP_NUM_THREADS={cores}: more threads than cores wait")
    elif threads < cores and not _has_cuda():
        cure = f"export OMP_NUM_THREADS={cores} to train with one rank; with N ranks {cores} / N"
        yield Finding("threads", "slow", found, cure)
    else:
        yield Finding("threads", "ok", found)


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _limit("memory.max")
    found = f"{total / 2**30:.1f} GiB"
    if limit is not None and limit < total:
        found += f", of which this container may use {limit / 2**30:.1f} GiB"
    yield Finding("memory", "ok", found)


def _shared_memory() -> Iterator[Finding]:
    if not _SHARED.is_dir():
        return
    size = shutil.disk_usage(_SHARED).total
    found = f"{size / 2**30:.2f} GiB in {_SHARED}"
    if size < _LEAST_SHARED:
        cure = "data workers hand batches over in it: start the container with --shm-size=2g, or set data.workers: 0"
        yield Finding("shared memory", "slow", found, cure)
    else:
        yield Finding("shared memory", "ok", found)


def _decoding() -> Iterator[Finding]:
    """How fast a core decodes photographs; what data.workers must make up for."""
    rate = _decoded_per_second()
    found = f"one core decodes {rate:,.0f} photographs of {_PICTURE[0]}×{_PICTURE[1]} pixels a second"
    workers = max(1, _cores() - 1)
    cure = f"with data.workers: 0 training waits for it; set data.workers to as many cores as are free, here {workers}"
    yield Finding("decoding", "ok", found, cure if _cores() > 1 else "")


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    for status in plugins.status:
        subject = f"plugin {status.name}"
        if status.status == "ok":
            yield Finding(subject, "ok", f"{status.distribution} {status.version}")
        elif status.status == "disabled":
            yield Finding(subject, "ok", status.reason, status.mend)
        else:
            yield Finding(subject, "broken", f"{status.status}: {status.reason}", status.mend)


def _decoded_per_second(rounds: int = 8) -> float:
    import numpy as np
    from PIL import Image

    from vlc_core.loading.picture import Picture

    width, height = _PICTURE
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize(_PICTURE).save(file, "JPEG", quality=90)
    start = time.perf_counter()
    for _ in range(rounds):
        _ = Picture(file.getvalue()).pixels
    return rounds / (time.perf_counter() - start)


def _cores() -> int:
    """The cores that this process may use, by its affinity and the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return allowed


def _limit(name: str) -> int | None:
    try:
        return int((_CGROUP / name).read_text())
    except (OSError, ValueError):
        return None  # no such file, or "max"


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    """For programs."""
    return [{"subject": f.subject, "verdict": f.verdict, "found": f.found, "cure": f.cure} for f in findings]
