"""What labels cost: UniCL's loss beside CLIP's, and beside the usual way to write it.

The usual way makes the matrix of targets (rows with equal labels, each row divided by its sum) and two soft cross
entropies over the matrix of logits. Forward and backward on given embeddings, in turns, so that all see the same
machine; a ratio is the median over the turns, and between the quartiles in brackets lies half of them.

    python benchmarks/bic.py                                # two threads, by the clock on the wall
    python benchmarks/bic.py --threads 1 --clock cpu        # processor time of one thread, which others disturb least
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlc_plugin_clip.functional import clip_loss
from vlc_plugin_unicl.functional import bic_loss

WIDTH = 512
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def usual(image: Tensor, text: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Targets and logits as whole matrices."""
    own = torch.where(labels < 0, -1 - torch.arange(len(labels)), labels)
    target = (own[:, None] == own[None, :]).to(image.dtype)
    target = target / target.sum(dim=1, keepdim=True)
    logits = scale * image @ text.T
    rows = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
    columns = -(target * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (rows + columns) / 2


def clip(image: Tensor, text: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """CLIP's loss, which reads no labels."""
    return clip_loss(image, text, scale)


LOSSES: dict[str, Loss] = {"clip": clip, "bic": bic_loss, "usual way": usual}


def patterns(rows: int) -> dict[str, Tensor]:
    """Ways in which a batch may be labelled."""
    generator = torch.Generator().manual_seed(0)
    hundred = torch.randint(100, (rows,), generator=generator)
    mixed = torch.where(torch.arange(rows) % 2 == 0, hundred, -1)
    return {
        "no labels": torch.full((rows,), -1),
        "100 classes": hundred,
        "half labelled": mixed,
        "one class": torch.zeros(rows, dtype=torch.int64),
    }


def step(loss: Loss, inputs: tuple[Tensor, Tensor], labels: Tensor, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds of a forward and backward pass, and the loss."""
    image, text, scale = (x.detach().requires_grad_() for x in (*inputs, torch.tensor([14.3])))
    start = clock()
    value = loss(image, text, labels, scale)
    value.backward()
    return clock() - start, float(value.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of torch; by default its own choice")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu counts the processor's time")
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    for rows in given.rows:
        generator = torch.Generator().manual_seed(1)
        image = normalize(torch.randn(rows, WIDTH, generator=generator), dim=1)
        inputs = image, normalize(image + torch.randn(rows, WIDTH, generator=generator) / 20, dim=1)
        for name, labels in patterns(rows).items():
            report(rows, name, inputs, labels, given.turns, CLOCKS[given.clock])


def report(
    rows: int, name: str, inputs: tuple[Tensor, Tensor], labels: Tensor, turns: int, clock: Callable[[], float]
) -> None:
    """Prints the ratios for one pattern of labels."""
    seconds: dict[str, list[float]] = {each: [] for each in LOSSES}
    values: dict[str, float] = {}
    draw = random.Random(0)
    for turn in range(turns + 1):
        for each in draw.sample(list(LOSSES), len(LOSSES)):  # memory that one has left is the next one's gain
            taken, values[each] = step(LOSSES[each], inputs, labels, clock)
            if turn > 0:
                seconds[each].append(taken)
    beside = {other: ratio(seconds["bic"], seconds[other]) for other in ("clip", "usual way")}
    apart = abs(values["bic"] - values["usual way"]) / values["usual way"]
    print(
        f"{rows:6d} rows  {name:14s} bic {statistics.median(seconds['bic']) * 1e3:8.1f} ms"
        f"  {beside['clip']} x clip  {beside['usual way']} x the usual way  losses differ by {apart:.1e}",
        flush=True,
    )


def ratio(ours: list[float], theirs: list[float]) -> str:
    """The median of the turns' ratios, and their quartiles."""
    low, middle, high = statistics.quantiles((a / b for a, b in zip(ours, theirs, strict=True)), n=4)
    return f"{middle:5.3f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
