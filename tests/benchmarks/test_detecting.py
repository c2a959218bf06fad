"""The detector of the results: what it sees, and how it is measured."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from vlc_plugin_encoders.resnet import ResNet

pytest.importorskip("transformers")
pytest.importorskip("scipy")


@pytest.fixture
def detecting(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent.parent))
    from benchmarks.results import detecting

    return detecting


@pytest.mark.filterwarnings("ignore:You.d better set embed_dim:UserWarning")  # of the CUDA kernel
def test_the_detector_learns_on_the_maps_of_a_frozen_encoder(detecting: ModuleType) -> None:
    torch.manual_seed(0)
    encoder = ResNet(size=32, depth=18, width=4, stem="small")
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    backbone = detecting.Backbone(encoder)
    pictures = detecting.mapped(backbone, count=1, seed=0)
    ((maps, pixels, _),) = pictures
    assert [tuple(x.shape) for x, _ in maps] == [(16, 16, 16, 16), (16, 32, 8, 8)]
    torch.testing.assert_close(maps[-1][0].mean(dim=(2, 3)), encoder(pixels).summary)
    found = detecting.build(backbone)
    losses = list(detecting.train(found, detecting.feeding(found, pictures), steps=12, lr=2e-3))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    after = encoder.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_what_is_there_is_found_with_precision_one(detecting: ModuleType) -> None:
    pytest.importorskip("pycocotools")
    there = detecting.boxes_there(6)
    said = [{**{k: box[k] for k in ("image_id", "category_id", "bbox")}, "score": 0.9} for box in there["annotations"]]
    assert detecting.precision(there, said) == pytest.approx({"ap": 1.0, "ap50": 1.0})
    for box in said:
        box["bbox"] = [box["bbox"][0] + 0.3 * box["bbox"][2], *box["bbox"][1:]]
    moved = detecting.precision(there, said)  # they overlap by 0.7 / 1.3
    assert moved["ap50"] == pytest.approx(1.0)
    assert moved["ap"] == pytest.approx(0.1)


def test_boxes_are_said_in_pixels(detecting: ModuleType) -> None:
    (box,) = detecting.boxes_said(torch.tensor([[[0.5]]]), torch.tensor([[[0.5, 0.25, 0.5, 0.25]]]), 7)
    assert box == {"image_id": 7, "category_id": 0, "bbox": [16.0, 8.0, 32.0, 16.0], "score": 0.5}
