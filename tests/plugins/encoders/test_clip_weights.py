"""CLIP checkpoints of the transformers library: the same embeddings, and clear words for what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.testing.encoders import texts
from vlc_plugin_encoders.weights import clip

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4}


def checkpoint(folder: Path, activation: str = "quick_gelu") -> Any:
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        vision_config=SMALL | {"image_size": 24, "patch_size": 8, "hidden_act": activation},
        text_config=SMALL
        | {"vocab_size": 99, "max_position_embeddings": 12, "hidden_act": activation}
        | {"bos_token_id": 97, "eos_token_id": 98},
        projection_dim=16,
    )
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(folder)
    return model


def smallest_cosine(actual: Tensor, expected: Tensor) -> float:
    return float(torch.cosine_similarity(actual.double(), expected.double()).min())


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("returns_tokens", [True, False])
@torch.no_grad()
def test_embeddings_are_the_librarys(tmp_path: Path, activation: str, returns_tokens: bool) -> None:
    model = checkpoint(tmp_path, activation)
    mine = clip.read(tmp_path)
    mine.image.eval().returns_tokens = mine.text.eval().returns_tokens = returns_tokens
    pixels = torch.randn(5, 3, 24, 24)
    tokens, mask = texts(clip.vocabulary({"vocab_size": 99, "eos_token_id": 98}), [12, 7, 3, 2])
    image = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
    text = model.text_projection(model.text_model(input_ids=tokens, attention_mask=mask.long()).pooler_output)
    assert smallest_cosine(mine.image(pixels).summary @ mine.image_head.T, image) > 0.99999
    assert smallest_cosine(mine.text(tokens, mask).summary @ mine.text_head.T, text) > 0.99999
    assert float(mine.log_scale) == pytest.approx(float(model.logit_scale))


@torch.no_grad()
def test_all_tokens_are_the_librarys(tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    mine = clip.read(tmp_path).text.eval()
    tokens, mask = texts(clip.vocabulary({"vocab_size": 99, "eos_token_id": 98}), [12, 7, 3])
    expected = model.text_model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    found = mine(tokens, mask).tokens
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_weights_that_do_not_fit_are_listed_shortened(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["vision_model.post_layernorm.weight"] = torch.zeros(5)
    for name in [n for n in weights if n.startswith("vision_model.encoder.layers.2.mlp")]:
        del weights[name]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"missing: blocks\.2\.mlp\.down\.bias.* and 1 more; of another shape: norm"):
        clip.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model_type": "bert"}, DataError, "does not describe a CLIP"),
        ({"vision_config": None}, DataError, "has no vision_config"),
        ({"text_config": SMALL | {"hidden_act": "relu"}}, RecipeError, "'relu' cannot be read"),
        ({"text_config": SMALL | {"layer_norm_eps": 0.1}}, RecipeError, "layer_norm_eps"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, change: dict[str, Any], error: type, said: str) -> None:
    checkpoint(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error, match=said):
        clip.read(tmp_path)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config\.json"):
        clip.read(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(DataError, match="Cannot read a CLIP checkpoint"):
        clip.read(tmp_path)
