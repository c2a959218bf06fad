"""EfficientNet: its sizes, its contract, and what is read from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vlc_core.errors import DataError, RecipeError
from vlc_core.testing.encoders import check_image_encoder
from vlc_plugin_align.efficientnet import SCALINGS, EfficientNet, channels, configuration

transformers = pytest.importorskip("transformers")

TINY: dict[str, Any] = {"width_coefficient": 0.1, "depth_coefficient": 0.1}
PUBLISHED = {"b0": 5.3, "b1": 7.8, "b2": 9.2, "b3": 12, "b4": 19, "b5": 30, "b6": 43, "b7": 66, "l2": 480}
"""Million parameters, the classifier of 1,000 classes included: table 2 of arXiv 1905.11946 and 7 of 1911.04252."""


@pytest.mark.parametrize("options", [{}, {"top": True}])
def test_it_holds_to_the_contract(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    check_image_encoder(EfficientNet(config=TINY, size=64, norm_momentum=0.5, **options))


@pytest.mark.parametrize("variant", SCALINGS)
def test_a_name_is_the_published_size(variant: Any) -> None:
    with torch.device("meta"):
        encoder = EfficientNet(variant=variant, top=True)
    count = sum(p.numel() for p in encoder.parameters()) + 1000 * (encoder.width + 1)
    assert count / 1e6 == pytest.approx(PUBLISHED[variant], rel=0.025)
    assert encoder.size == SCALINGS[variant].size


@pytest.mark.parametrize(("variant", "width"), [("b0", 320), ("b7", 640), ("l2", 1376)])
def test_without_the_last_convolution_it_is_as_wide_as_aligns(variant: Any, width: int) -> None:
    with torch.device("meta"):
        encoder = EfficientNet(variant=variant)
        assert encoder.width == width
        assert not any("top" in name for name, _ in encoder.named_parameters())


@torch.no_grad()
def test_a_random_network_keeps_images_apart() -> None:
    """At the library's own start the deviation between images is lost on the way."""
    torch.manual_seed(0)
    pixels = torch.randn(8, 3, 64, 64)
    config = {"width_coefficient": 0.25, "depth_coefficient": 0.5}
    summary = EfficientNet(config=config, size=64).train()(pixels).summary
    assert summary.std(dim=0).mean() > 0.3
    library = transformers.EfficientNetModel(
        transformers.EfficientNetConfig(**config, hidden_dim=channels(1280 * 0.25), image_size=64)
    )
    assert library.train()(pixel_values=pixels).last_hidden_state.mean(dim=(2, 3)).std(dim=0).mean() < 1e-2


def test_the_summary_is_the_mean_of_the_last_map() -> None:
    torch.manual_seed(0)
    encoder = EfficientNet(config=TINY, size=64).eval()
    out = encoder(torch.randn(2, 3, 64, 64))
    assert out.tokens is not None
    torch.testing.assert_close(out.summary, out.tokens.mean(dim=1))
    encoder.returns_tokens = False
    assert encoder(torch.randn(2, 3, 64, 64)).tokens is None


def test_running_statistics_move_by_the_momentum() -> None:
    """One batch moves them by a hundredth of the way, where the library's own number would move them by 99."""
    encoder = EfficientNet(config=TINY, size=64)
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.01}
    encoder.train()(torch.randn(8, 3, 64, 64))
    assert all((norm.running_var - 0.99).min() >= -1e-6 for norm in norms)
    short = EfficientNet(config=TINY, size=64, norm_momentum=0.5)
    assert {m.momentum for m in short.modules() if isinstance(m, nn.BatchNorm2d)} == {0.5}


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Any, Path]:
    torch.manual_seed(0)
    said = configuration("b0", {**TINY, "image_size": 64})
    said.pop("model_type")
    model = transformers.EfficientNetModel(transformers.EfficientNetConfig(**said)).eval()
    model.save_pretrained(tmp_path)
    return model, tmp_path


@torch.no_grad()
def test_weights_are_read_from_a_folder(folder: tuple[Any, Path]) -> None:
    model, path = folder
    pixels = torch.randn(2, 3, 64, 64)
    encoder = EfficientNet(folder=str(path), top=True).eval()
    torch.testing.assert_close(encoder(pixels).summary, model(pixel_values=pixels).pooler_output)
    before = model.encoder.blocks[-1]
    seen: list[torch.Tensor] = []
    hook = before.register_forward_hook(lambda _, __, out: seen.append(out))
    model(pixel_values=pixels)
    hook.remove()
    bare = EfficientNet(folder=str(path)).eval()
    torch.testing.assert_close(bare(pixels).summary, seen[0].mean(dim=(2, 3)))


@torch.no_grad()
def test_its_settled_options_build_it_without_the_folder(folder: tuple[Any, Path]) -> None:
    options: dict[str, Any] = {"folder": str(folder[1]), "norm_momentum": 0.2}
    encoder = EfficientNet(**options)
    settled = dict(encoder.settled_options(options))
    assert not settled.keys() & {"folder", "hub"}
    other = EfficientNet(**settled)
    other.load_state_dict(encoder.state_dict())
    pixels = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(other.eval()(pixels).summary, encoder.eval()(pixels).summary)
    assert (
        EfficientNet(**dict(EfficientNet(config=TINY, size=64).settled_options({"config": TINY, "size": 64}))).size
        == 64
    )


def test_layers_are_named_from_the_stem_on() -> None:
    encoder = EfficientNet(config=TINY, size=64)
    names = encoder.layer_names()
    assert len(names) > 2
    known = {name for name, _ in encoder.named_modules()} | {name for name, _ in encoder.named_parameters()}
    assert {name for group in names for name in group} <= known


def test_channels_are_rounded_as_the_library_rounds_them() -> None:
    from transformers.models.efficientnet.modeling_efficientnet import round_filters

    for width in (0.1, 0.3, 0.5, 1.1, 1.4, 4.3):
        config = transformers.EfficientNetConfig(width_coefficient=width)
        assert channels(1280 * width) == round_filters(config, 1280), width


def test_what_cannot_be_built_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="leave it out beside folder"):
        EfficientNet(config=TINY, folder=str(tmp_path))
    with pytest.raises(DataError, match=r"config\.json"):
        EfficientNet(folder=str(tmp_path))
    with pytest.raises(RecipeError, match="only one"):
        EfficientNet(folder=str(tmp_path), hub="google/efficientnet-b0")
    with pytest.raises(RecipeError, match="top: true"):
        EfficientNet(config=TINY, size=64).export(tmp_path / "out", to="transformers", tokenizer=None)  # type: ignore[arg-type]
