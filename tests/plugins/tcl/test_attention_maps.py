"""Where the fusion encoders look: the maps of Grad-CAM by another way, for our own encoder and BERT's layers.

Shapes: N pairs, L text tokens, P patches, W width, S × S patches.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.interfaces.encoder import FusionEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.model.judging import Look, attended
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import Features, ImageTower, TextTower, Towers
from vlc_plugin_encoders.cross_attention import CrossAttention
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_tcl.objectives.itm import ImageTextMatching

WIDTH, PAIRS, WORDS, SIDE = 16, 3, 5, 4
VOCABULARY = Vocabulary(20, pad=0, start=1, end=2)
BERT: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
}


def fusion_encoder(kind: str) -> FusionEncoder:
    if kind == "cross-attention":
        return CrossAttention(WIDTH, WIDTH, depth=2, heads=2)
    pytest.importorskip("transformers")
    from vlc_plugin_encoders.pretrained.fusion import TransformersFusion

    return TransformersFusion(WIDTH, WIDTH, config=BERT)


@pytest.fixture(params=["cross-attention", "transformers"])
def towers(request: pytest.FixtureRequest) -> Towers:
    torch.manual_seed(0)
    eye = VisionTransformer(size=16, patch=4, width=WIDTH, depth=1, heads=2)
    reader = TextTransformer(VOCABULARY, width=WIDTH, depth=1, heads=2, context=WORDS, causal=False, pool="first")
    fusion = fusion_encoder(request.param)
    made = Towers(ImageTower(eye, 8), TextTower(reader, 8), Temperature(init=0.1), fusion).double().eval()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.fixture
def judge() -> ImageTextMatching:
    torch.manual_seed(1)
    made = ImageTextMatching(ModelInfo(8, WIDTH, WIDTH, VOCABULARY, (), fusion_width=WIDTH)).double()
    torch.nn.init.normal_(made.head.weight)
    return made


def features(length: int, seed: int, mask: Tensor | None = None) -> Features:
    tokens = torch.randn(PAIRS, length, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Features(tokens[:, 0], tokens[:, 0], tokens, mask)


def text() -> Features:
    return features(WORDS, 2, torch.arange(WORDS) < torch.tensor([[5], [2], [4]]))


@pytest.mark.parametrize("block", [0, -1])
def test_a_map_is_the_attention_where_more_of_it_speaks_for_the_class(
    towers: Towers, judge: ImageTextMatching, block: int
) -> None:
    leading = towers.image.encoder.leading_tokens
    image, words = features(leading + SIDE * SIDE, 3), text()
    found = attended(towers, judge, image, words, Look(block, 1))
    fusion: Any = towers.fusion
    assert (fusion.watched, fusion.maps) == (None, None)
    fusion.watched = block % 2
    logits = judge.judge(towers.fuse(words, image))[:, 1]
    (slope,) = torch.autograd.grad(logits.sum(), fusion.maps)
    weighed = (fusion.maps * slope.clamp(min=0)).detach()
    assert words.mask is not None
    for pair in range(PAIRS):
        real = weighed[pair][:, words.mask[pair], leading:]
        torch.testing.assert_close(found[pair].flatten(), real.mean(dim=(0, 1)))
    assert found.amax(dim=(1, 2)).min() > 0


def test_a_map_goes_with_its_patches(towers: Towers, judge: ImageTextMatching) -> None:
    leading = towers.image.encoder.leading_tokens
    image, words = features(leading + SIDE * SIDE, 3), text()
    order = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(4))
    assert image.tokens is not None
    moved = torch.cat([image.tokens[:, :leading], image.tokens[:, leading:][:, order]], dim=1)
    before = attended(towers, judge, image, words, Look(-1, 1)).flatten(1)
    after = attended(towers, judge, image._replace(tokens=moved), words, Look(-1, 1)).flatten(1)
    torch.testing.assert_close(after, before[:, order])


def test_looking_changes_nothing_that_is_judged(towers: Towers, judge: ImageTextMatching) -> None:
    image, words = features(towers.image.encoder.leading_tokens + SIDE * SIDE, 3), text()
    with torch.no_grad():
        before = judge.judge(towers.fuse(words, image))
    attended(towers, judge, image, words, Look(0, 1))
    with torch.no_grad():
        torch.testing.assert_close(judge.judge(towers.fuse(words, image)), before)
    towers.fusion.watched = 0  # type: ignore[assignment]
    torch.testing.assert_close(judge.judge(towers.fuse(words, image)).detach(), before)
