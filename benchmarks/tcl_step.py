"""What TCL costs against the straightforward way (``tcl_step_straight.py``): times and memory, in turn in one process.

Losses and gradients of both ways are compared first. A ratio is the median over the turns of theirs by ours.

    python benchmarks/tcl_step.py --threads 1 --clock cpu                    # everything
    python benchmarks/tcl_step.py --threads 1 --clock cpu --what lmi queue   # parts of it
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tcl_step_straight as straight
import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.batch import Batch
from vlc_core.engine.optimizer import adamw, parameter_groups
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.model.twins import Twins
from vlc_core.phases import Moment, Phase
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting, Step
from vlc_plugin_encoders.cross_attention import CrossAttention
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_tcl.functional import cma_loss, imc_loss, lmi_loss
from vlc_plugin_tcl.objectives.cma import CrossModalAlignment
from vlc_plugin_tcl.objectives.imc import IntraModalContrast
from vlc_plugin_tcl.objectives.itm import ImageTextMatching, Pool
from vlc_plugin_tcl.objectives.lmi import LocalMutualInformation
from vlc_plugin_tcl.objectives.mlm import MaskedLanguageModelling

WORDS = Vocabulary(size=30_522, pad=0, start=101, end=102, mask=103)
CONTEXT, WIDTH, DIM, ALPHA = 30, 384, 256, 0.4
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
THIRD = 1 / 3
Way = Callable[[], object]


def unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def race(ours: Way, theirs: Way, turns: int, clock: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds of both, medians, and the median over the turns of theirs by ours; one turn before is not counted."""
    taken: list[tuple[float, float]] = []
    for _ in range(turns + 1):
        start = clock()
        ours()
        middle = clock()
        theirs()
        taken.append((middle - start, clock() - middle))
    mine, others = zip(*taken[1:], strict=True)
    ratios = [b / a for a, b in taken[1:]]
    return statistics.median(mine), statistics.median(others), statistics.median(ratios)


def tell(name: str, raced: tuple[float, float, float]) -> None:
    print(
        f"  {name:<28} ours {raced[0] * 1e3:9.2f} ms   straight {raced[1] * 1e3:9.2f} ms   {raced[2]:6.2f} x",
        flush=True,
    )


def compare(name: str, ours: Callable[[], Tensor], theirs: Callable[[], Tensor], free: list[Tensor]) -> None:
    """Prints both losses and how far the gradients of all but scalars are apart, by the length of theirs."""
    values, gradients = [], []
    for way in (ours, theirs):
        loss = way()
        values.append(loss.item())
        found = torch.autograd.grad(loss, free, allow_unused=True)
        whole = [torch.zeros_like(p) if g is None else g for g, p in zip(found, free, strict=True) if p.numel() > 1]
        gradients.append(torch.cat([g.flatten() for g in whole]))
    apart = ((gradients[0] - gradients[1]).norm() / gradients[1].norm()).item()
    print(f"{name}: loss {values[0]:.6f}, straight {values[1]:.6f}; gradients {apart:.1e} apart", flush=True)
    assert abs(values[0] - values[1]) < 1e-4 * abs(values[1])
    assert apart < 1e-3


def backward(way: Callable[[], Tensor], free: list[Tensor]) -> Way:
    return lambda: torch.autograd.grad(way(), free)


def lmi_ways(batch: int) -> tuple[Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]:
    """Both ways of LMI over 36 image locals and up to 30 tokens."""
    image, text = (unit(batch, DIM, seed=s).requires_grad_() for s in (1, 2))
    patches, tokens = unit(batch, 36, DIM, seed=3), unit(batch, CONTEXT, DIM, seed=4)
    real, mask = torch.ones(batch, 36, dtype=torch.bool), lengths(batch)
    tau = torch.tensor([0.07], requires_grad=True)

    def both(loss: Callable[..., Tensor]) -> Callable[[], Tensor]:
        return lambda: (loss(image, patches, real, tau) + loss(text, tokens, mask, tau)).sum() / 2

    return both(lmi_loss), both(straight.lmi), [image, text, tau]


def queue_ways(batch: int, queue: int) -> tuple[Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]:
    """Both ways of CMA and IMC."""
    image, text = (unit(batch, DIM, seed=s).requires_grad_() for s in (1, 2))
    rest = [unit(batch, DIM, seed=3), unit(batch, DIM, seed=4), unit(queue, DIM, seed=5), unit(queue, DIM, seed=6)]
    tau = torch.tensor([0.07], requires_grad=True)

    def ours() -> Tensor:
        pairs = (*cma_loss(image, text, *rest, tau, ALPHA), *imc_loss(image, text, *rest, tau))
        return torch.stack(pairs).sum() / 2

    return ours, lambda: sum(straight.cma_imc(image, text, *rest, tau, ALPHA)), [image, text, tau]  # type: ignore


def lengths(batch: int) -> Tensor:
    """(batch, CONTEXT) bool: texts of 13 tokens in the mean, as captions are; the longest fills the context."""
    drawn = (13 + 4 * torch.randn(batch, generator=torch.Generator().manual_seed(7))).round().clamp(5, CONTEXT)
    drawn[0] = CONTEXT
    return torch.arange(CONTEXT) < drawn[:, None]


def model(side: int, queue: int) -> Pretrainer:
    """ViT-S/16 with six layers of text and six of fusion as wide, without dropout."""
    torch.manual_seed(0)
    eye = VisionTransformer(size=side, patch=16, width=WIDTH, depth=12)
    reader = TextTransformer(WORDS, width=WIDTH, depth=6, context=CONTEXT, causal=False, pool="first")
    towers = Towers(
        ImageTower(eye, DIM),
        TextTower(reader, DIM),
        Temperature(init=0.07, min=0.001, max=0.5, learn_as="temperature"),
        CrossAttention(WIDTH, WIDTH, depth=6),
    )
    info = ModelInfo(DIM, WIDTH, WIDTH, WORDS, fusion_width=WIDTH)
    objectives: dict[str, Objective] = {
        "cma": CrossModalAlignment(info),
        "imc": IntraModalContrast(info),
        "lmi": LocalMutualInformation(info),
        "itm": ImageTextMatching(info),
        "mlm": MaskedLanguageModelling(info),
    }
    needs = {name: type(one).requires({}) for name, one in objectives.items()}
    merged = Needs()
    for one in needs.values():
        merged = merged.merge(one)
    twins = Twins(towers, merged, momentum=0.995, queue=queue)
    for n, ring in enumerate((twins.image_queue, twins.text_queue)):
        ring.push(unit(queue, DIM, seed=8 + n))
    weights = {"cma": THIRD, "imc": THIRD, "lmi": THIRD, "itm": 1.0, "mlm": 1.0}
    return Pretrainer(Setting(towers, merged, twins, 0, "other", WORDS), objectives, weights, needs)


def examples(batch: int, side: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    mask = lengths(batch)
    tokens = torch.randint(1000, WORDS.size, (batch, CONTEXT), generator=generator)
    tokens[:, 0] = 101
    tokens[torch.arange(batch), mask.sum(dim=1) - 1] = 102
    pixels = torch.randn(2, batch, 3, side, side, generator=generator)
    own = torch.arange(batch)
    return Batch(pixels, tokens * mask, mask, torch.full((batch,), -1), own, own, tuple(map(str, range(batch))))


def whole_step(given: argparse.Namespace, clock: Callable[[], float]) -> float:
    """The whole step both ways; returns the seconds of ours."""
    made, batch = model(given.side, given.queue), examples(given.batch, given.side)
    twins, moment = made.twins, Moment(0.5, 0, 9.0)
    assert isinstance(twins, Twins)
    step = Step(made._setting, batch)
    with torch.no_grad():
        pool = Pool.of(step, everywhere=False)
        sides = (step.image.embed, step.text.embed)
        found = [pool.drawn(step, sides[n], sides[1 - n], side=n)[0] for n in (0, 1)]
    drawn, masked = straight.Drawn(*found), step.masked
    free = [p for p in made.parameters() if p.requires_grad]
    compare(
        f"a step, ViT-S/16 at {given.side}, batch {given.batch}",
        lambda: made(Phase.TRAIN, batch, moment).loss,
        lambda: straight.loss(made, twins, batch, masked, ALPHA, drawn).sum(),
        free,
    )
    ours_adam, theirs_adam = (
        adamw(parameter_groups(made, 0.02), lr=1e-6, betas=(0.9, 0.999), eps=1e-8),
        torch.optim.AdamW(free, lr=1e-6, weight_decay=0.02),
    )

    def ours() -> None:
        made(Phase.TRAIN, batch, moment).loss.backward()
        ours_adam.step()
        made.advance()
        ours_adam.zero_grad()

    def theirs() -> None:
        straight.loss(made, twins, batch, masked, ALPHA, None).sum().backward()
        theirs_adam.step()
        straight.follow(made, 0.995)
        theirs_adam.zero_grad()

    raced = race(ours, theirs, given.turns, clock)
    tell("whole step", raced)
    return raced[0]


def twin(turns: int, clock: Callable[[], float]) -> float:
    """The twins' update against bare lerps over the same tensors; seconds of ours."""
    made = model(224, 64)
    pairs = [
        (slow.data, fast.data)
        for one in made._followers
        for slow, fast in zip(one.copied.parameters(), one._followed[0].parameters(), strict=True)
    ]
    slow, fast = [a for a, _ in pairs], [b for _, b in pairs]

    def ours() -> None:
        for one in made._followers:
            one.update()

    raced = race(ours, lambda: torch._foreach_lerp_(slow, fast, 0.005), turns, clock)
    print(
        f"the twins' update over {sum(x.numel() for x in slow) / 1e6:.1f} M numbers: {raced[0] * 1e3:.1f} ms, "
        f"{1 / raced[2]:.3f} x bare lerps"
    )
    return raced[0]


def peak(way: str) -> int:
    """Bytes that a way of LMI adds at its peak, in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, "--threads", "1"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def own_peak(way: str) -> int:
    number = ("ours", "straight").index(way)
    small, large = lmi_ways(4), lmi_ways(64)
    backward(small[number], small[2])()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    backward(large[number], large[2])()
    return memory("VmHWM") - before


def memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--what", nargs="+", choices=("lmi", "queue", "twin", "step"), default=["lmi", "queue", "twin", "step"]
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: fair beside other processes, on 1 thread")
    parser.add_argument("--batch", type=int, default=32, help="of the whole step")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--queue", type=int, default=65_536)
    parser.add_argument("--peak", choices=("ours", "straight"), help="print what a way of LMI adds to memory, and end")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        print(own_peak(given.peak))
        return
    clock = CLOCKS[given.clock]
    print(f"torch {torch.__version__}, {given.threads} threads, {given.clock} clock")
    if "lmi" in given.what:
        ours, theirs, free = lmi_ways(64)
        compare("LMI, 36 image locals, 30 tokens, batch 64", ours, theirs, free)
        tell("LMI", race(backward(ours, free), backward(theirs, free), given.turns, clock))
        mine, others = peak("ours"), peak("straight")
        print(f"  memory: {mine / 2**20:.1f} MiB, straight {others / 2**20:.1f} MiB: {mine / others:.1%}")
    if "queue" in given.what:
        for batch in (32, 64):
            ours, theirs, free = queue_ways(batch, given.queue)
            compare(f"CMA + IMC, K = {given.queue:,}, batch {batch}", ours, theirs, free)
            tell("CMA + IMC", race(backward(ours, free), backward(theirs, free), given.turns, clock))
    moved = twin(3 * given.turns, clock) if "twin" in given.what else None
    if "step" in given.what:
        taken = whole_step(given, clock)
        if moved is not None:
            print(f"  the twins' update is {moved / taken:.2%} of our step")


if __name__ == "__main__":
    main()
