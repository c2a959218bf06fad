"""Trains a small detector on the frozen image encoder of a run, and measures it: one JSON object of metrics.

    python -m benchmarks.results.detecting runs/my-run --seed 0

The detector is that of ``examples/detection.py``, RT-DETR of the transformers library, on the last two maps of a
ResNet with the small stem, which that library cannot build; it sees drawn scenes with a class for each shape. The
encoder stays as it is, so that its maps are computed once, and what tells two runs apart is what they have learnt.
Scenes that are measured on show combinations of colour and shape that training never shows.

Shapes: B pictures, C channels, H × W positions, Q things that the detector names, K classes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from examples.detection import batches, detector, train
from torch import Tensor, nn
from transformers import ResNetConfig, RTDetrForObjectDetection

from vlc_core.inference import DualEncoder
from vlc_plugin_data.shapes import SHAPES, draw_scene, paint
from vlc_plugin_encoders.resnet import ResNet

SIDE = 64
LEVELS = (5, 7)
"""Blocks of a ResNet-18 whose maps are looked at: the last of the third and of the fourth stage."""
STRIDES = (4, 8)
BATCH = 16
MEASURED = 50
"""Scenes in a batch of what is measured."""

Maps = list[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results.detecting", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("run", help="a run, or its model folder; its image encoder is a ResNet-18 with the small stem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=960, help="that are trained on, again and again")
    parser.add_argument("--scenes", type=int, default=300, help="that are measured on")
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    backbone = Backbone(_encoder(given.run))
    found = build(backbone)
    pictures = mapped(backbone, count=given.pictures // BATCH, seed=given.seed)
    for _ in train(found, feeding(found, pictures), steps=given.steps, lr=1e-3):
        pass
    found.model.backbone = backbone
    print(json.dumps(measure(found.eval(), backbone, scenes=given.scenes)))


class Backbone(nn.Module):
    """A ResNet as the detector calls its backbone: pixels (B, 3, H, W) to maps (B, C, H, W) and masks of them."""

    def __init__(self, encoder: ResNet) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        blocks: list[Any] = list(encoder.blocks)
        self.channels = [blocks[level].layers[-1].conv.out_channels for level in LEVELS]

    def forward(self, pixels: Tensor, mask: Tensor) -> Maps:
        """The maps of ``LEVELS``."""
        x_BCHW, maps = F.relu(self.encoder.stem(pixels)), []
        for number, block in enumerate(self.encoder.blocks):
            x_BCHW = block(x_BCHW)
            if number in LEVELS:
                there = F.interpolate(mask[None].float(), size=x_BCHW.shape[-2:])[0].bool()
                maps.append((x_BCHW, there))
        return maps


class Ready(nn.Module):
    """Stands for a backbone whose maps are there already."""

    maps: Maps

    def forward(self, pixels: Tensor, mask: Tensor) -> Maps:
        """The maps of the batch at hand."""
        return self.maps


def build(backbone: Backbone) -> RTDetrForObjectDetection:
    """The detector of the example, with ``backbone`` in the place of one that the library builds."""
    like = ResNetConfig(hidden_sizes=backbone.channels, depths=[1, 1], embedding_size=8, layer_type="basic")
    like.out_indices = [1, 2]
    found = detector(like, channels=backbone.channels, strides=list(STRIDES), width=48, queries=12)
    found.model.backbone = Ready()
    return found


def measure(found: RTDetrForObjectDetection, backbone: Backbone, *, scenes: int) -> dict[str, float]:
    """The precision of what is found in this many scenes."""
    said: list[dict[str, Any]] = []
    for first in range(0, scenes, MEASURED):
        pixels = _pixels(backbone, first, min(MEASURED, scenes - first))
        with torch.no_grad():
            out = found(pixel_values=pixels)
        said += boxes_said(out.logits.sigmoid(), out.pred_boxes, first)
    return precision(boxes_there(scenes), said)


def precision(there: dict[str, Any], said: list[dict[str, Any]]) -> dict[str, float]:
    """COCO's average precision, mean over overlaps of 0.5 to 0.95 and at 0.5, in 0…1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = there
        truth.createIndex()
        found = COCOeval(truth, truth.loadRes(said), "bbox")
        found.evaluate()
        found.accumulate()
        found.summarize()
    return {"ap": float(found.stats[0]), "ap50": float(found.stats[1])}


def _encoder(run: str) -> ResNet:
    encoder = DualEncoder.load(run).towers.image.encoder
    if not isinstance(encoder, ResNet) or not encoder.small or len(encoder.blocks) != LEVELS[-1] + 1:
        raise SystemExit(f"{run} has another image encoder than a ResNet-18 with the small stem")
    return encoder


def mapped(backbone: Backbone, *, count: int, seed: int) -> list[tuple[Maps, Tensor, list[dict[str, Tensor]]]]:
    """Batches of pictures with their maps."""
    encoder = backbone.encoder
    drawn = batches(BATCH, size=SIDE, seed=seed, mean=list(encoder.mean), std=list(encoder.std))
    with torch.no_grad():
        return [(backbone(x, torch.ones(BATCH, SIDE, SIDE)), x, targets) for x, targets in islice(drawn, count)]


def feeding(
    found: RTDetrForObjectDetection, pictures: list[tuple[Maps, Tensor, list[dict[str, Tensor]]]]
) -> Iterator[tuple[Tensor, list[dict[str, Tensor]]]]:
    """Batches without end, each with its maps laid out for the detector."""
    for maps, pixels, targets in cycle(pictures):
        found.model.backbone.maps = maps
        yield pixels, targets


def _pixels(backbone: Backbone, first: int, count: int) -> Tensor:
    shift, scale = (torch.tensor(x).view(1, 3, 1, 1) for x in (backbone.encoder.mean, backbone.encoder.std))
    drawn = np.stack([np.asarray(paint(_scene(first + number), SIDE).convert("RGB")) for number in range(count)])
    return (torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255 - shift) / scale


def _scene(number: int) -> Any:
    return draw_scene(0, number, split="test")


def boxes_there(scenes: int) -> dict[str, Any]:
    """What is to be found, as COCO writes it; boxes in pixels."""
    things = [(number, thing) for number in range(scenes) for thing in _scene(number).visible]
    boxes = []
    for number, (scene, thing) in enumerate(things, start=1):
        left, top, right, bottom = (edge * SIDE for edge in thing.rectangle)
        box, kind = [left, top, right - left, bottom - top], SHAPES.index(thing.kind.shape)
        place = {"id": number, "image_id": scene, "category_id": kind}
        boxes.append({**place, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    images = [{"id": number} for number in range(scenes)]
    return {"images": images, "annotations": boxes, "categories": [{"id": n} for n in range(len(SHAPES))]}


def boxes_said(score_BQK: Tensor, boxes_BQ4: Tensor, first: int) -> list[dict[str, Any]]:
    """Each thing as each class, by its score."""
    corners_BQ4 = torch.cat([boxes_BQ4[..., :2] - boxes_BQ4[..., 2:] / 2, boxes_BQ4[..., 2:]], dim=-1) * SIDE
    return [
        {"image_id": first + number, "category_id": kind, "bbox": box, "score": score}
        for number, (boxes, scores) in enumerate(zip(corners_BQ4.tolist(), score_BQK.tolist(), strict=True))
        for box, of_kinds in zip(boxes, scores, strict=True)
        for kind, score in enumerate(of_kinds)
    ]


if __name__ == "__main__":
    main()
