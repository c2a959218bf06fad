"""``pretrained``, ``freeze`` and ``layer_decay`` of this plugin's encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vlc_core.errors import RecipeError, StorageError
from vlc_core.interfaces.encoder import Encoder, Vocabulary
from vlc_core.model.depth import freeze, scales_of
from vlc_core.model.towers import ImageTower, Tower
from vlc_core.testing.encoders import texts
from vlc_plugin_encoders.linear_text import LinearText
from vlc_plugin_encoders.resnet import ResNet
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer

WORDS = Vocabulary(99, pad=98, start=97, end=98)


def encoders() -> dict[str, Encoder]:
    torch.manual_seed(0)
    return {
        "vit": VisionTransformer(size=8, patch=4, width=8, depth=3),
        "vit, as CLIP's": VisionTransformer(size=8, patch=4, width=8, depth=2, pre_norm=True),
        "vit, mean": VisionTransformer(size=8, patch=4, width=8, depth=2, pool="mean"),
        "resnet": ResNet(size=16, depth=18, width=4, stem="small"),
        "text-transformer": TextTransformer(WORDS, width=8, depth=3),
        "linear-text": LinearText(WORDS, width=8),
    }


LAST = {
    "vit": {"norm.weight", "norm.bias"},
    "vit, as CLIP's": {"norm.weight", "norm.bias"},
    "vit, mean": {"norm.weight", "norm.bias"},
    "resnet": set(),
    "text-transformer": {"norm.weight", "norm.bias"},
    "linear-text": set(),
}
BLOCKS = {"vit": 3, "vit, as CLIP's": 2, "vit, mean": 2, "resnet": 8, "text-transformer": 3, "linear-text": 0}


@pytest.mark.parametrize("name", LAST)
def test_layers_in_their_order(name: str) -> None:
    encoder = encoders()[name]
    scales = scales_of(encoder, 0.5)
    assert {parameter for parameter, scale in scales.items() if scale == 1} == LAST[name]
    for number in range(BLOCKS[name]):
        block = {scale for parameter, scale in scales.items() if parameter.startswith(f"blocks.{number}.")}
        assert block == {0.5 ** (BLOCKS[name] - number)}
    first = {parameter for parameter in scales if not parameter.startswith("blocks.")} - LAST[name]
    assert {scales[parameter] for parameter in first} == {0.5 ** (BLOCKS[name] + 1)}


@pytest.mark.parametrize("name", ["vit", "vit, as CLIP's", "resnet"])
def test_the_first_blocks_leave_no_graph(name: str) -> None:
    encoder = encoders()[name]
    tower = ImageTower(encoder, 4)  # type: ignore[arg-type]
    freeze(tower, BLOCKS[name] - 1)
    tower.train()
    reached: dict[int, bool] = {}
    for number, block in enumerate(encoder.blocks):  # type: ignore[arg-type]
        block.register_forward_hook(lambda _, __, out, at=number: reached.update({at: out.requires_grad}))
    tower(torch.randn(2, 3, encoder.size, encoder.size))  # type: ignore[operator]
    assert reached == {number: number == BLOCKS[name] - 1 for number in range(BLOCKS[name])}


def test_weights_of_an_encoder_alone(tmp_path: Path) -> None:
    for name, encoder in encoders().items():
        save_file(encoder.state_dict(), tmp_path / "w.safetensors")
        other = encoders()[name]
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1)
        assert other.load_pretrained(tmp_path / "w.safetensors") == {}
        assert all(torch.equal(x, encoder.state_dict()[key]) for key, x in other.state_dict().items())


SMALL = {"hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4}
MINE: dict[str, Any] = {"width": 32, "depth": 2, "heads": 4, "mlp_ratio": 2.5, "activation": "quick_gelu"}
IMAGE: dict[str, Any] = MINE | {"size": 24, "patch": 8, "pre_norm": True}


@pytest.fixture
def clip(tmp_path: Path) -> Any:
    """A CLIP of the transformers library, saved in ``tmp_path``."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        vision_config=SMALL | {"image_size": 24, "patch_size": 8},
        text_config=SMALL | {"vocab_size": 99, "max_position_embeddings": 12, "bos_token_id": 97, "eos_token_id": 98},
        projection_dim=16,
    )
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    return model


@pytest.mark.parametrize("file", ["", "model.safetensors"])
@torch.no_grad()
def test_a_clip_of_the_transformers_library_with_its_heads(clip: Any, tmp_path: Path, file: str) -> None:
    image, text = VisionTransformer(**IMAGE), TextTransformer(WORDS, **MINE, context=12)
    for encoder in (image, text):
        tower = Tower(encoder, 16)
        tower.head.load_state_dict(dict(encoder.load_pretrained(tmp_path / file)))
        tower.eval()
        if encoder is image:
            pixels = torch.randn(3, 3, 24, 24)
            mine = tower.embed(pixels).embed
            expected = clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)
        else:
            tokens, mask = texts(WORDS, [12, 5, 3])
            mine = tower.embed(tokens, mask).embed
            expected = clip.text_projection(clip.text_model(input_ids=tokens, attention_mask=mask.long()).pooler_output)
        assert torch.cosine_similarity(mine.double(), expected.double()).min() > 0.99999


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"activation": "gelu"}, 'set activation: "quick_gelu"'),
        ({"heads": 2, "pool": "mean"}, 'set heads: 4, pool: "token"'),
        ({"pre_norm": False}, "set pre_norm: true"),
        ({"width": 16, "mlp_ratio": 5.0}, "summary_token is 32 there and 16 here"),
    ],
)
def test_a_clip_that_is_another_encoder(clip: Any, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        VisionTransformer(**IMAGE | changes).load_pretrained(tmp_path)
    assert sentence in str(caught.value)


def test_a_clip_in_place_of_a_text_that_sees_both_ways(clip: Any, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="set causal: true"):
        TextTransformer(WORDS, **MINE, context=12, causal=False).load_pretrained(tmp_path)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(StorageError, match="holds no model"):
        VisionTransformer(**IMAGE).load_pretrained(tmp_path)
