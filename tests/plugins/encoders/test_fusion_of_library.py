"""BERT split in two: its lower layers read the text, its upper layers the text with the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import Encoded, Vocabulary
from vlc_core.testing.encoders import check_text_encoder, texts
from vlc_core.testing.fusion import check_fusion_encoder
from vlc_plugin_encoders.pretrained.fusion import TransformersFusion
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.pretrained.text import TransformersText

transformers = pytest.importorskip("transformers")

VOCABULARY = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
BERT: dict[str, Any] = SMALL | {"vocab_size": 40, "max_position_embeddings": 32}


@pytest.fixture
def bert(tmp_path: Path) -> tuple[Any, Path]:
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**BERT)).eval()
    model.save_pretrained(tmp_path)
    return model, tmp_path


def fused(encoder: TransformersFusion, tokens: Tensor, mask: Tensor, image: Tensor) -> Tensor:
    out = encoder(Encoded(tokens[:, 0], tokens, mask), Encoded(image[:, 0], image))
    assert out.tokens is not None
    return out.tokens


@torch.no_grad()
def test_both_halves_are_the_whole_model_where_the_image_says_nothing(bert: tuple[Any, Path]):
    model, folder = bert
    text = TransformersText(VOCABULARY, folder=str(folder), context=12, layers=2).eval()
    fusion = TransformersFusion(16, 24, folder=str(folder)).eval()
    for layer in fusion.layers:
        # Attention to the image ends in a norm of what it adds to: what it adds is taken away here.
        layer.crossattention.output = torch.nn.Module()
        layer.crossattention.output.forward = lambda _added, x: x
    tokens, mask = texts(VOCABULARY, [9, 5, 2])
    lower = text(tokens, mask)
    found = fused(fusion, lower.tokens, mask, torch.randn(3, 5, 24))
    expected = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(found[mask], expected[mask])
    half = model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(lower.tokens[mask], half[mask])


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_they_hold_to_the_contract(kind: str):
    config = SMALL | {"model_type": kind, "num_hidden_layers": 2, "hidden_dropout_prob": 0.0}
    check_fusion_encoder(TransformersFusion(16, 24, config=config, skip=1), 16, 24)
    check_fusion_encoder(TransformersFusion(16, 24, config=config, recompute=True), 16, 24)
    check_text_encoder(TransformersText(VOCABULARY, config=config, context=12, layers=1), VOCABULARY)


def test_the_image_is_seen_by_every_layer(bert: tuple[Any, Path]):
    fusion = TransformersFusion(16, 24, folder=str(bert[1]), skip=1).eval()
    assert len(fusion.layers) == 3
    tokens, mask = torch.randn(2, 4, 16), torch.ones(2, 4, dtype=torch.bool)
    image = torch.randn(2, 5, 24, requires_grad=True)
    fused(fusion, tokens, mask, image).square().sum().backward()
    assert image.grad.abs().min() > 0
    for layer in fusion.layers:
        assert layer.crossattention.self.value.weight.grad.abs().max() > 0


def test_its_attention_to_the_image_can_be_watched(bert: tuple[Any, Path]):
    fusion = TransformersFusion(16, 24, folder=str(bert[1])).eval()
    tokens, mask = torch.randn(2, 4, 16), torch.tensor([[True] * 4, [True, True, False, False]])
    image, seen = torch.randn(2, 5, 24), torch.tensor([[True] * 5, [True, True, True, False, False]])
    text, picture = Encoded(tokens[:, 0], tokens, mask), Encoded(image[:, 0], image, seen)
    plain = fusion(text, picture).tokens
    fusion.watched = 1
    watched = fusion(text, picture).tokens
    torch.testing.assert_close(watched[mask], plain[mask])
    assert fusion.maps.shape == (2, 2, 4, 5)
    torch.testing.assert_close(fusion.maps.sum(dim=3), torch.ones(2, 2, 4))
    assert fusion.maps[1, :, :, 3:].abs().max() < 1e-6
    (slope,) = torch.autograd.grad(watched[:, 0].square().sum(), fusion.maps)
    assert slope.abs().max() > 0


@pytest.mark.parametrize(
    ("width", "options", "words"),
    [
        (20, {}, "16 wide and the text encoder is 20"),
        (16, {"skip": 4}, "none is left after skip: 4"),
        (16, {"config": {"model_type": "bert"}}, "only one"),
    ],
)
def test_what_does_not_fit_is_refused(bert: tuple[Any, Path], width: int, options: dict[str, Any], words: str):
    with pytest.raises(RecipeError, match=words):
        TransformersFusion(width, 24, folder=str(bert[1]), **options)


def test_models_without_such_layers_are_refused():
    with pytest.raises(RecipeError, match="no layers that attend to images"):
        TransformersFusion(16, 24, config={"model_type": "distilbert", "dim": 16, "n_heads": 2, "hidden_dim": 32})
    with pytest.raises(DataError, match=r"config\.json"):
        TransformersFusion(16, 24, folder="nowhere")


def test_more_layers_than_there_are_cannot_be_kept(bert: tuple[Any, Path]):
    with pytest.raises(RecipeError, match="has 4 layers, fewer than layers: 5"):
        TransformersText(VOCABULARY, folder=str(bert[1]), context=12, layers=5)


@pytest.mark.parametrize(
    ("config", "leading"),
    [
        ({"model_type": "vit"}, 1),
        ({"model_type": "deit"}, 2),
        ({"model_type": "dinov2_with_registers", "num_register_tokens": 4}, 5),
        ({"model_type": "clip_vision_model", "projection_dim": 8}, 1),
        ({"model_type": "siglip_vision_model"}, 0),
        ({"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}, 0),
    ],
    ids=lambda x: x["model_type"] if isinstance(x, dict) else None,
)
def test_tokens_that_lead_are_counted(config: dict[str, Any], leading: int):
    own = {} if config["model_type"] == "resnet" else SMALL | {"patch_size": 8, "num_hidden_layers": 1}
    if "dinov2" in config["model_type"]:
        del own["intermediate_size"]
    encoder = TransformersImage(config=own | config, size=32).eval()
    assert encoder.leading_tokens == leading
    tokens = encoder(torch.zeros(1, 3, 32, 32)).tokens
    if own:
        assert tokens.shape[1] == leading + 16
