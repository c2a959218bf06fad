"""Every encoder that this plugin registers holds to the contract, in each of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.plugins import load_plugins
from vlc_core.testing.encoders import check_image_encoder, check_text_encoder

VOCABULARY = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)

SMALL_VIT: dict[str, Any] = {"size": 16, "patch": 4, "width": 16, "depth": 2}
SMALL_TEXT: dict[str, Any] = {"width": 16, "depth": 2, "context": 12}

IMAGE_FORMS: dict[str, list[dict[str, Any]]] = {
    "vit": [
        SMALL_VIT,
        SMALL_VIT | {"pool": "mean", "heads": 4},
        SMALL_VIT | {"pre_norm": True, "activation": "quick_gelu", "depth": 1},
        SMALL_VIT | {"patch_dropout": 0.5, "dropout": 0.1, "mlp_ratio": 1.5, "recompute": True},
    ],
    "resnet": [
        {"size": 16, "depth": 18, "width": 4, "stem": "small"},
        {"size": 64, "depth": 50, "width": 4},
    ],
}
TEXT_FORMS: dict[str, list[dict[str, Any]]] = {
    "text-transformer": [
        SMALL_TEXT,
        SMALL_TEXT | {"pool": "mean", "depth": 1},
        SMALL_TEXT | {"causal": False, "pool": "first", "dropout": 0.1, "recompute": True},
        SMALL_TEXT | {"causal": False, "pool": "mean", "heads": 4},
        SMALL_TEXT | {"causal": False, "activation": "quick_gelu"},
    ],
    "linear-text": [{"width": 8, "context": 6}],
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


@pytest.mark.parametrize(("name", "options"), cases("image_encoder", IMAGE_FORMS))
def test_image_encoder(name: str, options: dict[str, Any]) -> None:
    encoder = load_plugins().registry.find("image_encoder", f"encoders/{name}").load()
    check_image_encoder(encoder(**options))


@pytest.mark.parametrize(("name", "options"), cases("text_encoder", TEXT_FORMS))
def test_text_encoder(name: str, options: dict[str, Any]) -> None:
    encoder = load_plugins().registry.find("text_encoder", f"encoders/{name}").load()
    check_text_encoder(encoder(VOCABULARY, **options), VOCABULARY)
