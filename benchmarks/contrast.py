"""The contrast op against open_clip's ``ClipLoss``: time, memory, error and bytes between ranks.

Forward and backward of the whole loss on given embeddings, in turns, so that all see the same machine; a ratio is the
median over the turns of ours by theirs in the same turn. Extra memory is the growth of a fresh process's peak. Errors
are relative, of the loss and of the gradients each against its greatest entry, to a float64 reference that does not
cancel; those of bf16 hold the rounding of the embeddings too. Bytes are what one rank hands to collectives in a step.

    python benchmarks/contrast.py                            # time and memory at 1k, 4k, 8k and 16k
    python benchmarks/contrast.py --rows 1024 --scale 100
    python benchmarks/contrast.py --threads 1 --clock cpu    # processor time of one thread, which others disturb least
    python benchmarks/contrast.py --what errors bytes

The peer is ``open_clip_torch``; only its file ``loss.py`` is loaded, which needs nothing but torch.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import normalize

from vlc_core.contrast import chunked, streaming_logsumexp
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_clip.functional import clip_loss

WIDTH = 512
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


@cache
def open_clip_loss() -> Any:
    """The peer's module of losses, without the rest of its package, which imports torchvision."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        raise SystemExit("the peer is missing: pip install --no-deps open_clip_torch")
    spec = importlib.util.spec_from_file_location("open_clip_loss", Path(package.origin).with_name("loss.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    loss: Tensor = open_clip_loss().ClipLoss()(image, text, scale)
    return loss


def keeping(kept_bytes: int, dtype: torch.dtype = torch.float32) -> Loss:
    """Our loss with another budget for kept tiles, on embeddings of another type."""

    def loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
        chunked.KEPT_BYTES = kept_bytes
        return clip_loss(image.to(dtype), text.to(dtype), scale)

    return loss


def queue(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Anchors against keys that need no gradient, one direction."""
    return streaming_logsumexp(image, text.detach(), scale).mean()


LOSSES: dict[str, Loss] = {
    "open_clip": theirs,
    "vlc, by itself": keeping(chunked.KEPT_BYTES),
    "vlc, recomputing": keeping(0),
    "vlc, keeping": keeping(1 << 40),
    "vlc, bf16, recomputing": keeping(0, torch.bfloat16),
    "vlc, bf16, keeping": keeping(1 << 40, torch.bfloat16),
    "vlc, keys without gradient": queue,
}


def embeddings(rows: int, scale: float, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs, the better separated the smaller ``noise``."""
    generator = torch.Generator().manual_seed(0)
    image = normalize(torch.randn(rows, WIDTH, generator=generator), dim=1)
    text = normalize(image + noise * normalize(torch.randn(rows, WIDTH, generator=generator), dim=1), dim=1)
    return image, text, torch.tensor([scale])


def step(
    loss: Loss, inputs: tuple[Tensor, Tensor, Tensor], clock: Clock = time.perf_counter
) -> tuple[float, list[Tensor]]:
    """Seconds of a forward and backward pass, the loss and its gradients."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    start = clock()
    value = loss(leaves[0], leaves[1], leaves[2])
    value.backward()
    seconds = clock() - start
    return seconds, [value.detach(), *(x.grad for x in leaves if x.grad is not None)]


def times(rows: int, scale: float, turns: int, names: list[str], clock: Clock) -> None:
    """Prints seconds and ratios of ``names``, and the extra memory of each."""
    inputs = embeddings(rows, scale, noise=1.5)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns + 1):
        for name in names:
            taken, _ = step(LOSSES[name], inputs, clock)
            if turn > 0:
                seconds[name].append(taken)
    memory = {name: extra_memory(name, rows, scale) for name in names}
    for name in names:
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds["open_clip"], strict=True))
        share = memory[name] / memory["open_clip"]
        print(
            f"{rows:6d} rows  {name:28s} {statistics.median(seconds[name]) * 1e3:9.1f} ms  {ratio:5.3f} x"
            f"  {memory[name] / 2**20:8.1f} MiB  {share:6.1%}",
            flush=True,
        )


def extra_memory(name: str, rows: int, scale: float) -> float:
    """Bytes by which the peak of a fresh process grows over its inputs."""
    command = [sys.executable, __file__, "--memory-of", name, "--rows", str(rows), "--scale", str(scale)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(name: str, rows: int, scale: float) -> None:
    step(LOSSES[name], embeddings(64, scale, noise=1.5))
    inputs = embeddings(rows, scale, noise=1.5)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _memory("VmRSS")
    step(LOSSES[name], inputs)
    print(_memory("VmHWM") - before)


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def exact(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """The loss in float64 and written so that it does not cancel."""
    logits = scale.double() * image.double() @ text.double().T
    positive = logits.diagonal()
    others = logits.masked_fill(torch.eye(logits.shape[0], dtype=torch.bool), -torch.inf)
    sums = torch.logsumexp(others, dim=1), torch.logsumexp(others, dim=0)
    return sum(torch.logaddexp(torch.zeros_like(positive), s - positive).mean() for s in sums) / 2  # type: ignore[return-value]


def errors(rows: int) -> None:
    """Prints the relative errors of loss and gradients at several scales."""
    for scale in (14.3, 50.0, 100.0, 300.0):
        for noise in (6.0, 3.0, 1.5):
            inputs = embeddings(rows, scale, noise)
            _, reference = step(exact, inputs)
            if reference[0] < 1e-30:
                continue  # float32 has no such numbers
            for name in ("open_clip", "vlc, recomputing", "vlc, bf16, recomputing"):
                _, found = step(LOSSES[name], inputs)
                worst = [
                    ((f.double() - r).abs().max() / r.abs().max()).item() for f, r in zip(found, reference, strict=True)
                ]
                print(
                    f"scale {scale:5.1f}  loss {reference[0].item():8.1e}  {name:24s} loss {worst[0]:7.1e}"
                    f"  image {worst[1]:7.1e}  text {worst[2]:7.1e}  scale {worst[3]:7.1e}"
                )


def count_bytes(rank: int, world: int, rows: int) -> dict[str, int]:
    """What this rank hands to collectives, for their loss and for ours."""
    warnings.filterwarnings("ignore", category=FutureWarning)  # of the collectives that the peer calls
    sent = [0]
    _count(sent)
    found = {}
    peer = open_clip_loss().ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world)
    for name, loss in (("open_clip", peer), ("vlc", lambda *inputs: clip_loss(*inputs, gather=True))):
        sent[0] = 0
        step(loss, embeddings(rows, 14.3, noise=1.5))
        found[name] = sent[0]
    return found


def _count(sent: list[int]) -> None:
    """Adds to ``sent`` what passes through torch's collectives; gloo's all-to-all is made of scatters."""

    def weigh(given: Any) -> int:
        return sum(x.numel() * x.element_size() for x in (given if isinstance(given, list) else [given]))

    def wrap(name: str, argument: int) -> None:
        original = getattr(dist, name, None)
        if original is None:
            return

        def counted(*arguments: Any, **options: Any) -> Any:
            sent[0] += weigh(arguments[argument] or []) if name == "scatter" else weigh(arguments[argument])
            return original(*arguments, **options)

        setattr(dist, name, counted)

    for name, argument in {
        "all_gather": 1,
        "all_gather_single": 1,
        "all_gather_into_tensor": 1,
        "all_reduce": 0,
    }.items():
        wrap(name, argument)
    for name in ("reduce_scatter", "reduce_scatter_single", "reduce_scatter_tensor", "scatter", "all_to_all"):
        wrap(name, 1)


def print_bytes(rows: int) -> None:
    for world in (2, 4):
        found = run_on_ranks(count_bytes, world, rows)[0]
        share = found["vlc"] / found["open_clip"]
        print(
            f"{world} ranks of {rows} rows: open_clip {found['open_clip']:,} B, vlc {found['vlc']:,} B, {share:.3f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1024, 4096, 8192, 16384])
    parser.add_argument("--scale", type=float, default=14.3)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--what", nargs="+", choices=["times", "errors", "bytes"], default=["times", "errors", "bytes"])
    parser.add_argument("--threads", type=int, help="of torch; by default its own choice")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu counts the processor's time")
    parser.add_argument("--memory-of", choices=list(LOSSES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of is not None:
        measure_memory(given.memory_of, given.rows[0], given.scale)
        return
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, width {WIDTH}, scale {given.scale}")
    if "times" in given.what:
        for rows in given.rows:
            names = [n for n in LOSSES if rows <= 4096 or n not in {"vlc, keeping", "vlc, bf16, keeping"}]
            times(rows, given.scale, max(2, min(given.turns, 100_000 // rows)), names, CLOCKS[given.clock])
    if "errors" in given.what:
        errors(512)
    if "bytes" in given.what:
        print_bytes(256)


if __name__ == "__main__":
    main()
