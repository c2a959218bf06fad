"""Trains a detector on an exported image encoder.

    vlc export runs/my-run --to transformers --part image -o backbone
    python examples/detection.py backbone --steps 200

The detector is RT-DETR of the transformers library; its backbone is whatever ``AutoBackbone`` knows, such as a
ResNet or a Swin. The pictures and boxes are drawn: scenes of ``shapes``, with a class for each shape.

Shapes: B pictures, H × W pixels, T things of a picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoBackbone, AutoConfig, RTDetrConfig, RTDetrForObjectDetection

from vlc_plugin_data.shapes import SHAPES, draw_scene, paint

LEVELS = 3
"""Feature maps that the detector looks at: the backbone's last ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a detector on an exported image encoder.")
    parser.add_argument("backbone", type=Path, help="the folder that vlc export wrote")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=96, help="side of the pictures in pixels; a multiple of 32")
    parser.add_argument("--lr", type=float, default=5e-4, help="the backbone learns at a tenth of it")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    detector = build(chosen.backbone)
    mean, std = statistics(chosen.backbone)
    pictures = batches(chosen.batch, size=chosen.size, seed=chosen.seed, mean=mean, std=std)
    for step, loss in enumerate(train(detector, pictures, steps=chosen.steps, lr=chosen.lr), start=1):
        if step == 1 or step % 10 == 0:
            print(f"step {step}: loss {loss:.3f}")  # noqa: T201


def build(folder: Path, *, width: int = 64, queries: int = 12) -> RTDetrForObjectDetection:
    """A small RT-DETR whose backbone has the weights in ``folder``; all else starts at random.

    Args:
        folder: What ``vlc export --part image`` wrote.
        width: Channels of the detector's own layers.
        queries: Things that it can find in a picture.
    """
    stages = len(AutoConfig.from_pretrained(folder).stage_names)
    last = list(range(stages - min(LEVELS, stages - 1), stages))
    backbone = read(folder, out_indices=last)
    strides = [2 ** (number + 1) for number in last]
    found = detector(backbone.config, channels=list(backbone.channels), strides=strides, width=width, queries=queries)
    load(found.model.backbone.model, backbone)
    return found


def detector(
    backbone: Any, *, channels: list[int], strides: list[int], width: int, queries: int
) -> RTDetrForObjectDetection:
    """An RT-DETR that starts at random.

    Args:
        backbone: The settings of its backbone.
        channels: Of each feature map that it looks at.
        strides: Pixels from one position of each map to the next.
        width: Channels of the detector's own layers.
        queries: Things that it can find in a picture.
    """
    config = RTDetrConfig(
        backbone_config=backbone,
        num_feature_levels=len(channels),
        encoder_in_channels=channels,
        feat_strides=strides,
        encode_proj_layers=[len(channels) - 1],
        encoder_hidden_dim=width,
        d_model=width,
        decoder_in_channels=[width] * len(channels),
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        decoder_layers=2,
        num_queries=queries,
        num_denoising=0,
    )
    config.num_labels = len(SHAPES)
    return RTDetrForObjectDetection(config)


def read(folder: Path, *, out_indices: list[int]) -> Any:
    """The backbone in ``folder``, giving the maps of some stages.

    ``AutoBackbone.from_pretrained`` of transformers 5 asks the hub for every name and refuses folders, but it knows
    the class, which reads them.
    """
    config = AutoConfig.from_pretrained(folder, out_indices=out_indices)
    return type(AutoBackbone.from_config(config)).from_pretrained(folder, config=config)


def load(into: torch.nn.Module, backbone: torch.nn.Module) -> None:
    """Copies the weights; RT-DETR freezes batch statistics and does not count batches."""
    missing, spare = into.load_state_dict(backbone.state_dict(), strict=False)
    lost = [name for name in (*missing, *spare) if not name.endswith("num_batches_tracked")]
    if lost:
        raise ValueError(f"the detector's backbone is another one than the exported: {', '.join(lost[:3])}")


def statistics(folder: Path) -> tuple[list[float], list[float]]:
    """Mean and deviation of the colours that the encoder expects."""
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    return settings["image_mean"], settings["image_std"]


def batches(
    batch: int, *, size: int, seed: int, mean: list[float], std: list[float]
) -> Iterator[tuple[Tensor, list[dict[str, Tensor]]]]:
    """Normalised pictures (B, 3, size, size) with their things, without end."""
    shift, scale = (torch.tensor(x).view(1, 3, 1, 1) for x in (mean, std))
    first = 0
    while True:
        scenes = [draw_scene(seed, index, split="train") for index in range(first, first + batch)]
        drawn = np.stack([np.asarray(paint(scene, size).convert("RGB")) for scene in scenes])
        pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255
        yield (pixels - shift) / scale, [target(scene) for scene in scenes]
        first += batch


def target(scene: Any) -> dict[str, Tensor]:
    """Shapes (T,) and boxes (T, 4), centre and sides in shares of the picture's."""
    corners = torch.tensor([thing.rectangle for thing in scene.visible], dtype=torch.float32)
    low, high = corners[:, :2], corners[:, 2:]
    labels = torch.tensor([SHAPES.index(thing.kind.shape) for thing in scene.visible])
    return {"class_labels": labels, "boxes": torch.cat([(low + high) / 2, high - low], dim=1)}


def train(
    detector: RTDetrForObjectDetection,
    pictures: Iterator[tuple[Tensor, list[dict[str, Tensor]]]],
    *,
    steps: int,
    lr: float,
) -> Iterator[float]:
    """Trains, and gives the loss of each step."""
    own = [p for name, p in detector.named_parameters() if "backbone" not in name]
    backbone = [p for name, p in detector.named_parameters() if "backbone" in name]
    groups: list[dict[str, Any]] = [{"params": own}, {"params": backbone, "lr": lr / 10}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    detector.train()
    for _ in range(steps):
        pixels, targets = next(pictures)
        loss = detector(pixel_values=pixels, labels=targets).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimizer.step()
        yield float(loss.detach())


if __name__ == "__main__":
    main()
