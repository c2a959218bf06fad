"""A CLIP training step against open_clip's: same architecture, weights, batch, precision and optimizer, in one run.

A step is the forward pass of both towers, the loss, the backward pass, AdamW (fused, for both) and the bound on the
scale. Ours starts from bytes and normalises them, theirs gets normalised images. Embeddings, loss and gradients are
compared first, and the loss after all turns again. The rivals take turns, so that both see the same machine; a ratio
is the median over the turns of ours by theirs in the same turn.

    python benchmarks/clip_step.py                           # three batches, fp32 and bf16, two threads
    python benchmarks/clip_step.py --threads 1 --turns 40
    python benchmarks/clip_step.py --batch "real texts, 77" --profile

The batches: ``full texts, 32`` fills a context of 32 for both; ``real texts, 32`` and ``real texts, 77`` are one
caption of a photograph each, which open_clip pads to its context. With ``--engine`` ours runs in the engine too: with
DeepSpeed around the model, the gradient's norm, and once its bound.

The peer is ``open_clip_torch`` (``pip install --no-deps open_clip_torch``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# As vlc's command line sets it: threads that spin while others work take many times as long on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.distributed as dist
from clip_step_profile import profile
from clip_step_rivals import Ours, Size, Texts, Theirs, captions, encode, precision, renamed
from torch import Tensor, nn

from vlc_core.engine import ranks
from vlc_core.engine.place import Place
from vlc_core.engine.setup import wrap
from vlc_core.engine.stepping import Stepper

Step = Callable[[str], Tensor]


class Case(NamedTuple):
    """A batch: open_clip's context, and whether texts fill it."""

    context: int
    full: bool


CASES = {"full texts, 32": Case(32, True), "real texts, 32": Case(32, False), "real texts, 77": Case(77, False)}


class Engine:
    """Ours inside the engine, as ``vlc train`` takes its steps."""

    def __init__(self, ours: Ours, mode: str, clip: float | None) -> None:
        if not dist.is_initialized():
            ranks.join(Place(0, 1, 0), torch.device("cpu"))
        rows = len(ours.batch)
        config: dict[str, Any] = {
            "train_batch_size": rows,
            "train_micro_batch_size_per_gpu": rows,
            "steps_per_print": 2**31,
            "zero_optimization": {"stage": 0},
        }
        if mode == "bf16":
            config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        self.batch = ours.batch
        self.stepper = Stepper(
            wrap(ours.model, ours.optimizer, config),
            ours.model,
            seed=0,
            rank=0,
            steps=10_000,
            micro_batch_size=rows,
            clip=clip,
            stage=0,
            steps_per_epoch=10_000,
        )
        self.taken = 0

    def step(self, mode: str) -> Tensor:
        """One training step; returns what the engine logs of it."""
        self.taken += 1
        return self.stepper(self.batch, self.taken)


def rivals(case: Case, size: Size) -> tuple[Theirs, Ours]:
    """Both, with the same weights and the same batch."""
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (size.batch, 3, size.side, size.side), dtype=torch.uint8)
    texts = encode(captions(size.batch, joined=case.full), case.context)
    theirs = Theirs(size, case.context, pixels, texts.tokens)
    return theirs, Ours(size, theirs, pixels, texts)


def compare(theirs: Theirs, ours: Ours, mode: str) -> None:
    """Prints how far both are before the first step, in ``mode``, from open_clip in fp32."""
    with torch.no_grad():
        exact = theirs.embed()
        with precision(mode):
            found = [[x.float() for x in rival.embed()] for rival in (theirs, ours)]
    apart = [max((a - b).abs().max().item() for a, b in zip(f, exact, strict=True)) for f in found]
    loss, expected = theirs.gradients("fp32").item(), taken(theirs)
    losses = [rival.gradients(mode).item() for rival in (theirs, ours)]
    errors = [distance(taken(rival), expected) for rival in (theirs, ours)]
    print(
        f"  from open_clip in fp32: embeddings at most {apart[1]:.1e} (open_clip in {mode} {apart[0]:.1e}), loss of"
        f" {loss:.4f} {abs(losses[1] - loss):.1e} ({abs(losses[0] - loss):.1e}), gradient {errors[1]:.1e} of its"
        f" length ({errors[0]:.1e})"
    )


def taken(rival: Theirs | Ours) -> dict[str, Tensor]:
    """The gradients that a rival holds, by our names; it holds none afterwards."""
    model: nn.Module = rival.model if isinstance(rival, Theirs) else rival.model.towers
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    rival.optimizer.zero_grad()
    return renamed(found) if isinstance(rival, Theirs) else found


def distance(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The length of the difference of two gradients by that of the second."""
    assert found.keys() == expected.keys()
    apart = sum((found[name].double() - value.double()).square().sum() for name, value in expected.items())
    whole = sum(value.double().square().sum() for value in expected.values())
    return float(apart**0.5 / whole**0.5)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def race(steps: dict[str, Step], mode: str, turns: int, clock: Callable[[], float]) -> None:
    """Prints time and ratio of each, by the first."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(turns + 2):
        for name, step in steps.items():
            start = clock()
            step(mode)
            if turn > 1:
                seconds[name].append(clock() - start)
    first = seconds[next(iter(steps))]
    for name, taken in seconds.items():
        ratios = sorted(a / b for a, b in zip(taken, first, strict=True))
        low, middle, high = (ratios[round(q * (len(ratios) - 1))] for q in (0.25, 0.5, 0.75))
        print(
            f"  {name:<34}{statistics.median(taken) * 1e3:8.1f} ms (least {min(taken) * 1e3:6.1f})"
            f"   {middle:5.3f} x [{low:.3f} {high:.3f}]   of the least {min(taken) / min(first):5.3f} x",
            flush=True,
        )


def describe(texts: Texts) -> str:
    lengths = texts.mask.sum(dim=1)
    return f"{lengths.double().mean().item():.1f} tokens in the mean, {int(lengths.max())} at most"


def run(name: str, mode: str, given: argparse.Namespace) -> None:
    """One batch in one precision."""
    theirs, ours = rivals(CASES[name], Size())
    print(f"{name}, {mode}, {given.threads} threads; texts of {describe(Texts(ours.batch.tokens, ours.batch.mask))}")
    compare(theirs, ours, mode)
    if given.profile:
        profile(theirs, ours, mode)
        return
    steps: dict[str, Step] = {"open_clip": theirs.step, "vlc": ours.step}
    if given.engine:
        for label, clip in (("vlc, engine", None), ("vlc, engine, gradient bounded", 1.0)):
            steps[label] = Engine(rivals(CASES[name], Size())[1], mode, clip).step
    race(steps, mode, given.turns, CLOCKS[given.clock])
    after = [rival.gradients(mode).item() for rival in (theirs, ours)]
    print(f"  loss after {given.turns + 2} steps: {after[1]:.6f}, theirs {after[0]:.6f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: fair beside other processes, on 1 thread")
    parser.add_argument("--engine", action="store_true", help="also time the step inside the engine")
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead of racing")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"torch {torch.__version__}")
    for mode in given.precision:
        for name in given.batch:
            run(name, mode, given)
    ranks.leave()


if __name__ == "__main__":
    main()
