"""The detection example, on tiny exported backbones."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.resnet import ResNet

pytest.importorskip("transformers")
pytest.importorskip("scipy")

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "detection.py"
SWIN = {"model_type": "swin", "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "patch_size": 4}


@pytest.fixture(scope="module")
def detection() -> ModuleType:
    spec = importlib.util.spec_from_file_location("detection_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exported(kind: str, folder: Path) -> Any:
    torch.manual_seed(0)
    encoder: Any = ResNet(size=32, depth=18, width=8) if kind == "resnet" else TransformersImage(config=SWIN, size=32)
    encoder.export(folder, to="transformers", tokenizer=None)
    return encoder


@pytest.mark.parametrize("kind", ["resnet", "swin"])
def test_a_detector_on_an_exported_backbone_learns(detection: ModuleType, tmp_path: Path, kind: str) -> None:
    encoder = exported(kind, tmp_path / "backbone")
    detector = detection.build(tmp_path / "backbone", width=32, queries=8)
    own = {tuple(p.shape): p.detach().clone() for p in encoder.parameters() if p.ndim == 4}
    first = next(p for name, p in detector.named_parameters() if "backbone" in name and p.ndim == 4)
    assert torch.equal(first, own[tuple(first.shape)])
    mean, std = detection.statistics(tmp_path / "backbone")
    assert tuple(mean) == tuple(encoder.mean)
    batch = next(detection.batches(4, size=64, seed=0, mean=mean, std=std))
    losses = list(detection.train(detector, iter([batch] * 25), steps=25, lr=2e-3))
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_boxes_are_where_the_things_are(detection: ModuleType) -> None:
    pixels, targets = next(detection.batches(6, size=64, seed=1, mean=[0.0] * 3, std=[1.0] * 3))
    for picture, target in zip(pixels, targets, strict=True):
        background = picture[:, 0, 0]
        for x, y, width, height in target["boxes"].tolist():
            left, right = round(64 * (x - width / 2)), round(64 * (x + width / 2))
            top, bottom = round(64 * (y - height / 2)), round(64 * (y + height / 2))
            inside = picture[:, top:bottom, left:right]
            assert float((inside - background[:, None, None]).abs().amax(dim=0).gt(0.05).float().mean()) > 0.15


def test_pictures_go_on_without_repeating(detection: ModuleType) -> None:
    made = [pixels for pixels, _ in islice(detection.batches(2, size=32, seed=0, mean=[0.0] * 3, std=[1.0] * 3), 2)]
    assert not torch.equal(made[0], made[1])
