"""Image encoders with the channels of a pixel beside each other in memory, as they run here, against planes of colours.

Both ways share weights and pixels, and take turns of forward and backward in an order that is drawn anew; ratios are
medians over the turns, of processor time by default.

    OMP_NUM_THREADS=1 python benchmarks/layout.py [--turns T] [--clock cpu|wall] [--device cuda]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

import torch
from torch import Tensor

from vlc_core.interfaces.encoder import ImageEncoder
from vlc_plugin_align.efficientnet import EfficientNet
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.resnet import ResNet
from vlc_plugin_encoders.vit import VisionTransformer

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WHERE = ["resnet", "stem", "pretrained.image", "pretrained.timm"]
Build = Callable[[], ImageEncoder]
CASES: dict[str, tuple[Build, int]] = {
    "resnet 50, 224 px": (lambda: ResNet(size=224), 8),
    "resnet 18 of width 12, 32 px": (lambda: ResNet(size=32, depth=18, width=12, stem="small"), 128),
    "efficientnet b0, 64 px": (lambda: EfficientNet(variant="b0", size=64), 16),
    "transformers resnet 50, 128 px": (lambda: TransformersImage(config={"model_type": "resnet"}, size=128), 8),
    "transformers swin, 32 px": (lambda: TransformersImage(config=SWIN, size=32), 64),
    "vit with a stem, 64 px": (lambda: VisionTransformer(**SMALL, stem="convolutions"), 64),
    "vit, 64 px": (lambda: VisionTransformer(**SMALL), 64),
}
SMALL = {"size": 64, "patch": 8, "width": 128, "depth": 4}
SWIN = {"model_type": "swin", "patch_size": 4, "window_size": 4, "embed_dim": 48, "depths": [2, 4], "num_heads": [3, 6]}


def step(encoder: ImageEncoder, pixels: Tensor, *, planes: bool) -> None:
    """Forward and backward."""
    with ExitStack() as kept:
        for module in WHERE if planes else []:
            kept.enter_context(patch(f"vlc_plugin_encoders.{module}.channels_last", lambda x: x))
        encoder(pixels).summary.square().mean().backward()
    if pixels.is_cuda:
        torch.cuda.synchronize()


def ratio(encoder: ImageEncoder, pixels: Tensor, turns: int, clock: Callable[[], float]) -> float:
    """Time with channels last over that with planes, the median of the turns; a first one is not counted."""
    ratios = []
    for _ in range(turns + 1):
        took = {}
        for planes in random.sample([False, True], 2):
            started = clock()
            step(encoder, pixels, planes=planes)
            took[planes] = clock() - started
        ratios.append(took[False] / took[True])
    return statistics.median(ratios[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    for name, (build, batch) in CASES.items():
        torch.manual_seed(0)
        encoder = build().to(given.device)
        pixels = torch.randn(batch, 3, encoder.size, encoder.size, device=given.device)
        found = ratio(encoder, pixels, given.turns, CLOCKS[given.clock])
        print(f"{name:32} batch {batch:4}   channels last / planes {found:.2f}", flush=True)


if __name__ == "__main__":
    main()
