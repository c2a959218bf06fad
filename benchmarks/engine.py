"""A step through the engine against the same module in a plain PyTorch loop.

Both train a copy of one model on the same batches with fused AdamW, clip the gradient, bound the scale and read their
metrics as they come; the engine's side is the loop's own: Stepper, DeepSpeed, metrics a step late. The steps alternate,
so that both see the same machine; the ratio is the median over pairs of neighbouring steps.

A run on one rank that asks for ZeRO 1 or 2 is given stage 0, which takes the same steps; ``--forced`` shows what the
copies of these stages cost a rank that has others to share with.

    OMP_NUM_THREADS=1 python benchmarks/engine.py
    OMP_NUM_THREADS=1 python benchmarks/engine.py --size quickstart --stage 1 --steps 200 --profile
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import os
import pstats
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("DS_ACCELERATOR", "cpu")

import torch
from torch import nn

from vlc_core import accounting
from vlc_core.batch import Batch
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine import ranks
from vlc_core.engine.metrics import LateReader, Taken
from vlc_core.engine.place import Place
from vlc_core.engine.settings import zero_stage_taken
from vlc_core.engine.setup import wrap
from vlc_core.engine.stepping import Stepper
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.phases import Moment, Phase
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting
from vlc_plugin_clip.objectives import Clip
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer

LR, CLIP = 1e-4, 1.0


@dataclass(frozen=True)
class Size:
    """Side and patch in pixels, width, depths of the towers, vocabulary, longest text, batch."""

    side: int
    patch: int
    width: int
    image_depth: int
    text_depth: int
    words: int
    context: int
    batch: int


SIZES = {
    "quickstart": Size(24, 4, 64, 3, 2, 64, 16, batch=128),
    "vit-s": Size(64, 16, 384, 12, 6, 10_000, 24, batch=8),
}


def pretrainer(size: Size) -> Pretrainer:
    """A CLIP of that size."""
    torch.manual_seed(0)
    vocabulary = Vocabulary(size.words, 0, 1, 2)
    image = VisionTransformer(size=size.side, patch=size.patch, width=size.width, depth=size.image_depth)
    text = TextTransformer(vocabulary, width=size.width, depth=size.text_depth, context=size.context)
    image.returns_tokens = text.returns_tokens = False
    towers = Towers(ImageTower(image, size.width), TextTower(text, size.width), Temperature())
    clip = Clip(ModelInfo(size.width, size.width, size.width, vocabulary))
    return Pretrainer(Setting(towers), {"clip": clip}, {"clip": 1.0}, {"clip": clip.needs})


def batch_of(size: Size) -> Batch:
    """Random pixels, and texts of half the context and more."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(size.context // 2, size.context + 1, (size.batch,), generator=generator)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    tokens = torch.randint(3, size.words, mask.shape, generator=generator)
    tokens[:, 0], tokens[torch.arange(size.batch), lengths - 1] = 1, 2
    numbers = torch.arange(size.batch)
    pixels = torch.randint(0, 256, (1, size.batch, 3, size.side, size.side), dtype=torch.uint8, generator=generator)
    return Batch(pixels, tokens * mask, mask, -torch.ones_like(numbers), numbers, numbers)


def plain(model: Pretrainer, batch: Batch) -> Callable[[int], dict[str, float]]:
    """A step as a script would take it."""
    optimizer = _adamw(model)
    temperature = model.towers.temperature

    def step(number: int) -> dict[str, float]:
        losses = model(Phase.TRAIN, batch, Moment(0.0, number))
        losses.loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            temperature.value.clamp_(temperature.low, temperature.high)
        metrics = accounting.report(model.term_names, losses.totals, model.weights)
        return metrics | {"logit_scale": losses.scale.item(), "grad_norm": norm.item()}

    return step


def ours(model: Pretrainer, batch: Batch, stage: int) -> Callable[[int], dict[str, float]]:
    """A step as the loop takes it; its metrics are those of the step before."""
    config = {
        "train_batch_size": len(batch),
        "train_micro_batch_size_per_gpu": len(batch),
        "gradient_accumulation_steps": 1,
        "gradient_clipping": CLIP if stage else 0.0,
        "steps_per_print": 2**31,
        "zero_optimization": {"stage": stage},
    }
    engine = wrap(model, _adamw(model), config)
    stepper = Stepper(engine, model, 0, 0, 10**6, len(batch), CLIP, stage, 10**6)
    reader = LateReader(len(batch), model.weights)
    flags = torch.zeros(3, dtype=torch.float64)

    def step(number: int) -> dict[str, float]:
        optimizers.set_rate(engine.optimizer, LR)
        numbers = torch.cat([stepper(batch, number), flags])
        reads = list(reader.push(Taken(number + 1, LR, model.term_names, numbers)))
        return reads[0].metrics if reads else {}

    return step


def _adamw(model: Pretrainer) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = optimizers.parameter_groups(model, 0.1)
    return optimizers.adamw(groups, lr=LR, betas=(0.9, 0.98), eps=1e-6)


def compare(name: str, asked: int, steps: int, *, forced: bool, profile: bool) -> None:
    """Prints one row."""
    size = SIZES[name]
    stage = asked if forced else zero_stage_taken({"zero_optimization": {"stage": asked}}, 1)
    model, batch = pretrainer(size), batch_of(size)
    copied = copy.deepcopy(model)
    # The bound methods of a copy are those of the model that was copied.
    copied = Pretrainer(Setting(copied.towers), dict(copied.objectives.items()), model.weights, {"clip": Clip.needs})  # type: ignore[arg-type]
    rivals = ours(model, batch, stage), plain(copied, batch)
    pairs: list[list[float]] = []
    losses: tuple[list[float], list[float]] = ([], [])
    profiler = cProfile.Profile()
    for number in range(steps + 5):
        spent = []
        for rival, heard in zip(rivals, losses, strict=True):
            watched = profile and rival is rivals[0] and number >= 5
            start = time.perf_counter()
            metrics = profiler.runcall(rival, number) if watched else rival(number)
            spent.append(time.perf_counter() - start)
            if metrics:
                heard.append(metrics["loss"])
        pairs.append(spent)
    pairs = pairs[5:]
    differ = max(abs(a - b) / b for a, b in zip(*losses, strict=False))
    ratio = statistics.median(a / b for a, b in pairs)
    times = [statistics.median(side) * 1e3 for side in zip(*pairs, strict=True)]
    least = [min(side) for side in zip(*pairs, strict=True)]
    row = f"{name:<12}{asked:>6}{stage:>7}{times[0]:>10.2f} ms{times[1]:>10.2f} ms"
    print(f"{row}{ratio:>9.3f}{least[0] / least[1]:>9.3f}{differ:>12.1e}")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Prints a row per size and ZeRO stage."""
    parser = argparse.ArgumentParser(description="a step through the engine against a plain PyTorch loop")
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--stage", type=int, choices=range(4), action="append")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--forced", action="store_true", help="ZeRO's copies as of one of several ranks, without them")
    parser.add_argument("--profile", action="store_true", help="where the engine's side spends its time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ranks.join(Place(0, 1, 0), torch.device("cpu"))
    print(f"{'size':<12}{'ZeRO':>6}{'taken':>7}{'vlc':>13}{'plain':>13}{'ratio':>9}{'of min':>9}{'loss':>12}")
    for name in options.size or SIZES:
        for stage in options.stage or (0, 1):
            compare(name, stage, options.steps, forced=options.forced, profile=options.profile)
    ranks.leave()


if __name__ == "__main__":
    main()
