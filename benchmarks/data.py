"""Photographs to normalised tensors on one core, against open_clip's own training transform.

Run: ``python benchmarks/data.py PHOTOGRAPHS``, a folder of them. They are resized to 640×480 and to 256×256 pixels and
written as JPEG of quality 90; both sides then read those bytes. The two take turns of a fraction of a second, and
processor time is counted, so that a busy machine slows both alike. The transform ``clip`` should reach 2.7 × open_clip.

The peer needs, beside open_clip_torch, packages that may lie in a folder of their own: ``pip install --no-deps --target
PEERS torchvision webdataset==0.2.86 braceexpand ftfy wcwidth regex`` (open_clip does not work with webdataset 1.0) and
``PYTHONPATH=PEERS``.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from open_clip_data import Transform, from_tar, strong_transform, torchvision_transforms, training_transform
from PIL import Image
from torch import Tensor

from vlc_core.loading.order import Purpose, rng
from vlc_core.loading.picture import Box, Picture
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.transforms.tcl import StrongViews

SIZE = 224
SHAPES = ((640, 480), (256, 256))
# As open_clip normalises.
MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(3, 1, 1)
STD = torch.tensor((0.26862954, 0.26130258, 0.27577711)).view(3, 1, 1)
GAIN, OFFSET = 1 / (255 * STD), MEAN / STD

Way = Callable[[bytes, int], Tensor]


def main() -> None:
    """Prints rates, ratios and differences for each size of photograph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--count", type=int, default=48, help="how many photographs")
    parser.add_argument("--turns", type=int, default=9, help="how often each is read by either side")
    options = parser.parse_args()
    torch.set_num_threads(1)
    weak, strong = peer(training_transform(SIZE)), peer(strong_transform(SIZE))
    rivals = {
        "clip": (ours(RandomCrop()), weak),
        "clip, against what is decoded for tars": (ours(RandomCrop()), lambda file, number: from_tar(SIZE)(file)),
        "clip, reduced": (ours(RandomCrop(reduced=True)), weak),
        "tcl without RandAugment, against torchvision": (ours(StrongViews(operations=0)), strong),
        "tcl, against torchvision without RandAugment": (ours(StrongViews()), strong),
    }
    for shape in SHAPES:
        files = photographs(options.photographs, shape, options.count)
        print(f"{shape[0]}×{shape[1]}, {len(files)} photographs of {sum(map(len, files)) / len(files) / 1000:.0f} kB:")
        print(f"  same crops: {differences(files)}")
        for name, (own, other) in rivals.items():
            print(f"  {name}: {compared(own, other, files, options.turns)}")


def photographs(folder: Path, shape: tuple[int, int], count: int) -> list[bytes]:
    """The first ``count`` photographs of ``folder``, resized to ``shape`` and encoded."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not paths:
        raise SystemExit(f"there are no JPEG files in {folder}")
    return [_encoded(path, shape) for path in paths[:count]]


def _encoded(path: Path, shape: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.open(path).convert("RGB").resize(shape, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def ours(transform: RandomCrop | StrongViews) -> Way:
    """Bytes to bytes by the transform, and to floating point as an image encoder does it on its device."""

    def way(file: bytes, number: int) -> Tensor:
        view = transform(Picture(file), SIZE, rng(0, number, Purpose.VIEW))
        return normalised(view)

    return way


def normalised(view: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """(S, S, 3) uint8 to (3, S, S) float32 in units of a standard deviation."""
    return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1))).float().mul_(GAIN).sub_(OFFSET)


def peer(transform: Transform) -> Way:
    """The peer's transform on what Pillow opens."""
    return lambda file, number: transform(Image.open(io.BytesIO(file)))


class Ratio(NamedTuple):
    """Of two rates, with what half of the turns lie within."""

    own: float
    other: float
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.own:,.0f} images/s, peer {self.other:,.0f} images/s, "
            f"ratio {self.median:.2f} ({self.low:.2f} to {self.high:.2f})"
        )


def compared(own: Way, other: Way, files: Sequence[bytes], turns: int) -> Ratio:
    """Rates of processor time; each turn reads every photograph once by either way."""
    times = [_turn(own, other, files, turn) for turn in range(-1, turns)][1:]
    ratios = [there / here for here, there in times]
    low, median, high = statistics.quantiles(ratios, n=4)
    here, there = (statistics.median(column) for column in zip(*times, strict=True))
    return Ratio(len(files) / here, len(files) / there, median, low, high)


def _turn(own: Way, other: Way, files: Sequence[bytes], turn: int) -> tuple[float, float]:
    numbers = range((turn + 1) * len(files), (turn + 2) * len(files))
    spent = []
    for way in (own, other):
        start = time.process_time()
        for number, file in zip(numbers, files, strict=True):
            way(file, number)
        spent.append(time.process_time() - start)
    return spent[0], spent[1]


def differences(files: Sequence[bytes]) -> str:
    """How far our pixels are from open_clip's, of 255 levels, on the crops that its transform draws."""
    crop = torchvision_transforms().RandomResizedCrop
    levels = []
    for number, file in enumerate(files):
        image = Image.open(io.BytesIO(file))
        torch.manual_seed(number)
        top, left, height, width = crop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3])
        torch.manual_seed(number)
        theirs = (training_transform(SIZE)(image) * STD + MEAN) * 255
        view = Picture(file).cut(Box(left, top, width, height), SIZE)
        levels.append((torch.from_numpy(view).permute(2, 0, 1) - theirs).abs())
    difference = torch.stack(levels)
    return f"largest difference {difference.max():.1f} of 255, mean {difference.mean():.4f}"


if __name__ == "__main__":
    main()
