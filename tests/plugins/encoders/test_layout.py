"""Channels last: convolutions keep it, whatever order the pixels come in, and what comes out is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vlc_core.interfaces.encoder import ImageEncoder
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.resnet import ResNet
from vlc_plugin_encoders.vit import VisionTransformer

ENCODERS: dict[str, Callable[[], ImageEncoder]] = {
    "resnet": lambda: ResNet(size=16, depth=18, width=4, stem="small"),
    "stem": lambda: VisionTransformer(size=16, patch=4, width=16, depth=1, stem="convolutions"),
    "transformers": lambda: TransformersImage(
        config={"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}, size=32
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_every_convolution_sees_the_channels_of_a_pixel_together(name: str) -> None:
    if name == "transformers":
        pytest.importorskip("transformers")
    encoder = ENCODERS[name]()
    seen: list[bool] = []

    def look(module: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))

    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(look)
    encoder(torch.randn(2, 3, encoder.size, encoder.size))
    assert seen
    assert all(seen)


@pytest.mark.parametrize("name", ENCODERS)
def test_planes_give_the_same_result_and_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "transformers":
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    encoder = ENCODERS[name]().double().eval()
    pixels = torch.randn(3, 3, encoder.size, encoder.size, dtype=torch.float64)

    def measured() -> list[Tensor]:
        out = encoder(pixels)
        assert out.tokens is not None
        loss = out.summary.square().sum() + out.tokens.sum(dim=1).square().sum()
        return [out.summary, out.tokens, *torch.autograd.grad(loss, list(encoder.parameters()))]

    last = measured()
    for module in ("resnet", "stem", "pretrained.image"):
        monkeypatch.setattr(f"vlc_plugin_encoders.{module}.channels_last", lambda x: x)
    for ours, plain in zip(last, measured(), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
