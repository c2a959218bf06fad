"""The stem of convolutions: what a patch is made of, and what is refused."""

from __future__ import annotations

import pytest
import torch

from vlc_core.errors import RecipeError
from vlc_plugin_encoders.stem import ConvolutionStem
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_encoders.weights import to_library


@pytest.mark.parametrize("patch", [4, 8, 16])
def test_there_is_a_place_for_each_patch_in_their_order(patch: int) -> None:
    torch.manual_seed(0)
    stem = ConvolutionStem(patch, 32)
    pixels = torch.zeros(1, 3, 4 * patch, 4 * patch)
    half = patch // 2  # a place looks around its patch's upper left corner, as convolutions of stride two do
    pixels[:, :, 2 * patch - half : 2 * patch + half, patch - half : patch + half] = torch.randn(3, patch, patch)
    features = stem(pixels) - stem(pixels * 0)
    assert features.shape == (1, 16, 32)
    assert features.norm(dim=-1).argmax() == 2 * 4 + 1


def test_a_sample_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    encoder = VisionTransformer(size=16, patch=8, width=16, depth=1, stem="convolutions").double()
    pixels = torch.randn(5, 3, 16, 16, dtype=torch.float64)
    together = encoder(pixels).summary
    torch.testing.assert_close(together[3:4], encoder(pixels[3:4]).summary, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("patch", "width"), [(1, 16), (6, 16), (16, 12)])
def test_what_cannot_be_halved_is_refused(patch: int, width: int) -> None:
    with pytest.raises(RecipeError, match="stem: patches"):
        ConvolutionStem(patch, width)


def test_the_library_has_no_such_model() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(RecipeError, match="train with stem: patches"):
        to_library.vision(VisionTransformer(size=16, patch=8, width=16, depth=1, stem="convolutions"))


def test_the_stem_is_frozen_with_the_first_layer() -> None:
    encoder = VisionTransformer(size=16, patch=8, width=16, depth=1, stem="convolutions")
    assert encoder.layer_names()[0] == ["patch_embed", "positions", "stem", "summary_token"]
