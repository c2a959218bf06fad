"""Every encoder that this plugin registers holds to the contract, in each of its forms."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.options.building import RESERVED
from vlc_core.options.signatures import read_options
from vlc_core.plugins import load_plugins
from vlc_core.testing.encoders import check_image_encoder, check_text_encoder
from vlc_core.testing.fusion import check_fusion_encoder

VOCABULARY = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)

SMALL_VIT: dict[str, Any] = {"size": 16, "patch": 4, "width": 16, "depth": 2}
SMALL_TEXT: dict[str, Any] = {"width": 16, "depth": 2, "context": 12}

SMALL_BERT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SMALL_DINO = {"hidden_size": 16, "mlp_ratio": 2, "num_hidden_layers": 2, "num_attention_heads": 2}

IMAGE_FORMS: dict[str, list[dict[str, Any]]] = {
    "vit": [
        SMALL_VIT,
        SMALL_VIT | {"pool": "mean", "heads": 4},
        SMALL_VIT | {"pre_norm": True, "activation": "quick_gelu", "depth": 1},
        SMALL_VIT | {"patch_dropout": 0.5, "dropout": 0.1, "mlp_ratio": 1.5, "recompute": True},
        SMALL_VIT | {"stem": "convolutions"},
        SMALL_VIT | {"stem": "convolutions", "patch": 8, "pool": "mean", "patch_dropout": 0.5},
    ],
    "resnet": [
        {"size": 16, "depth": 18, "width": 4, "stem": "small"},
        {"size": 64, "depth": 50, "width": 4},
    ],
    "features": [{"width": 12}, {"width": 5, "normalise": True}],
    "transformers": [
        {"config": SMALL_BERT | {"model_type": "vit", "image_size": 16, "patch_size": 4}},
        {"config": SMALL_DINO | {"model_type": "dinov2", "image_size": 16, "patch_size": 4}, "recompute": True},
        {"config": SMALL_BERT | {"model_type": "clip_vision_model", "image_size": 16, "patch_size": 4}},
        {
            "config": {"model_type": "swin", "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1]}
            | {"num_heads": [2, 2], "window_size": 4},
            "pool": "mean",
        },
        {
            "config": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
            | {"layer_type": "basic"},
            "size": 32,
        },
        {"config": {"model_type": "convnext", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}, "size": 64},
        {
            "config": {"model_type": "efficientnet", "width_coefficient": 0.1, "depth_coefficient": 0.1}
            | {"hidden_dim": 128, "image_size": 64, "initializer_range": 0.3}
        },
    ],
    "timm": [{"name": "test_vit", "size": 96}, {"name": "resnet10t", "size": 64}, {"name": "test_convnext"}],
}
TEXT_FORMS: dict[str, list[dict[str, Any]]] = {
    "text-transformer": [
        SMALL_TEXT,
        SMALL_TEXT | {"pool": "mean", "depth": 1},
        SMALL_TEXT | {"causal": False, "pool": "first", "dropout": 0.1, "recompute": True},
        SMALL_TEXT | {"causal": False, "pool": "mean", "heads": 4},
        SMALL_TEXT | {"causal": False, "activation": "quick_gelu"},
    ],
    "transformers": [
        {"config": SMALL_BERT | {"model_type": "bert"}, "context": 12},
        {"config": SMALL_BERT | {"model_type": "roberta"}, "context": 12, "pool": "mean"},
        {"config": SMALL_BERT | {"model_type": "xlm-roberta"}, "context": 12, "recompute": True},
        {"config": SMALL_BERT | {"model_type": "clip_text_model"}, "context": 12},
        {
            "config": {"model_type": "distilbert", "dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2},
            "context": 9,
        },
    ],
    "linear-text": [{"width": 8, "context": 6}],
}


FUSION_FORMS: dict[str, list[dict[str, Any]]] = {
    "cross-attention": [
        {"depth": 2, "heads": 2},
        {"depth": 1, "heads": 4, "dropout": 0.1, "mlp_ratio": 2.0},
        {"depth": 2, "heads": 2, "recompute": True},
    ],
    "transformers": [{"config": SMALL_BERT | {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2}}],
}


def registered(kind: str) -> list[str]:
    return [entry.name for entry in load_plugins().registry.entries(kind) if entry.plugin == "encoders"]


def cases(kind: str, forms: dict[str, list[dict[str, Any]]]) -> list[Any]:
    # A name without a form fails in its test, so that nothing registered goes unchecked.
    return [
        pytest.param(name, options, id=f"{name}-{number}")
        for name in registered(kind)
        for number, options in enumerate(forms.get(name, [{"no form of it in this file": True}]))
    ]


def skip_without(name: str) -> None:
    if name not in ("transformers", "timm"):
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # timm fails in several ways where torchvision does
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.mark.parametrize(("name", "options"), cases("image_encoder", IMAGE_FORMS))
def test_image_encoder(name: str, options: dict[str, Any]) -> None:
    skip_without(name)
    encoder = load_plugins().registry.find("image_encoder", f"encoders/{name}").load()
    check_image_encoder(encoder(**options))


@pytest.mark.parametrize(("name", "options"), cases("text_encoder", TEXT_FORMS))
def test_text_encoder(name: str, options: dict[str, Any]) -> None:
    skip_without(name)
    encoder = load_plugins().registry.find("text_encoder", f"encoders/{name}").load()
    check_text_encoder(encoder(VOCABULARY, **options), VOCABULARY)


@pytest.mark.parametrize(("name", "options"), cases("fusion_encoder", FUSION_FORMS))
def test_fusion_encoder(name: str, options: dict[str, Any]) -> None:
    encoder = load_plugins().registry.find("fusion_encoder", f"encoders/{name}").load()
    check_fusion_encoder(encoder(16, 12, **options), 16, 12)


@pytest.mark.parametrize("kind", ["image_encoder", "text_encoder", "fusion_encoder"])
def test_no_option_has_the_name_of_a_key_that_the_recipe_reads(kind: str) -> None:
    for name in registered(kind):
        component = load_plugins().registry.find(kind, f"encoders/{name}").load()
        taken = {option.name for option in read_options(component)} & RESERVED.get(kind, {"use"})
        assert not taken, f"{kind} {name}"
