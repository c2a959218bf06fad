"""CLIP checkpoints of the transformers library as ``vit`` and ``text-transformer``, exactly.

A checkpoint is a folder with ``config.json`` and ``model.safetensors``. Pickled weights are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer

Weights = dict[str, Tensor]
Config = Mapping[str, Any]

_PARTS = {"self_attn.out_proj": "attention.out", "layer_norm1": "attention_norm", "layer_norm2": "mlp_norm"}
_PARTS |= {"mlp.fc1": "mlp.up", "mlp.fc2": "mlp.down"}


class Clip(NamedTuple):
    """A whole CLIP.

    Attributes:
        image: The image tower.
        text: The text tower.
        image_head: (D, W) projection of the image tower's summary, without bias.
        text_head: (D, W) projection of the text tower's summary, without bias.
        log_scale: Logarithm of the inverse temperature, a scalar.
    """

    image: VisionTransformer
    text: TextTransformer
    image_head: Tensor
    text_head: Tensor
    log_scale: Tensor


def read(folder: str | Path) -> Clip:
    """Builds both towers with the weights in ``folder``.

    Raises:
        DataError: The folder is not a CLIP checkpoint, or its weights do not fit its configuration.
        RecipeError: The configuration asks for something that the towers cannot be.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(
            f"Cannot read a CLIP checkpoint in {folder}: {error}; it needs config.json and model.safetensors."
        ) from error
    if not isinstance(config, dict) or config.get("model_type") != "clip":
        raise DataError(f"{folder / 'config.json'} does not describe a CLIP; name the folder of one.")
    image = VisionTransformer(**image_options(_filled(config, "vision_config", folder)))
    text_config = _filled(config, "text_config", folder)
    text = TextTransformer(vocabulary(text_config), **text_options(text_config))
    _load(image, image_weights(weights), folder)
    _load(text, text_weights(weights), folder)
    try:
        heads = weights["visual_projection.weight"], weights["text_projection.weight"]
        return Clip(image, text, *heads, weights["logit_scale"])
    except KeyError as error:
        raise DataError(f"{folder / 'model.safetensors'} has no {error}; name the folder of a whole CLIP.") from error


def image_options(config: Config) -> dict[str, Any]:
    """Options of ``vit`` from a ``vision_config``."""
    return _options(config) | {"size": config["image_size"], "patch": config["patch_size"], "pre_norm": True}


def text_options(config: Config) -> dict[str, Any]:
    """Options of ``text-transformer`` from a ``text_config``."""
    return _options(config) | {"context": config["max_position_embeddings"]}


def vocabulary(config: Config) -> Vocabulary:
    """The special ids of a ``text_config``; padding, which nobody reads, is the end token, as its tokenizer has it."""
    size = config["vocab_size"]
    # Configurations written before 2023 say 2 for the end token, whose id is the last one in fact.
    end = config["eos_token_id"] if config["eos_token_id"] != 2 else size - 1
    return Vocabulary(size, pad=end, start=end - 1, end=end)


def image_weights(weights: Mapping[str, Tensor]) -> Weights:
    """Weights of ``vit`` from those of a CLIP or of its vision model alone."""
    mine = _tower(weights, "vision_model.")
    patch = mine.pop("embeddings.patch_embedding.weight")
    named = {
        "patch_embed.weight": patch.flatten(1),
        "summary_token": mine.pop("embeddings.class_embedding"),
        "positions": mine.pop("embeddings.position_embedding.weight"),
    }
    # The misspelling is the library's.
    return named | _renamed(mine, {"pre_layrnorm": "pre_norm", "post_layernorm": "norm"})


def text_weights(weights: Mapping[str, Tensor]) -> Weights:
    """Weights of ``text-transformer`` from those of a CLIP or of its text model alone."""
    mine = _tower(weights, "text_model.")
    named = {
        "token_embed.weight": mine.pop("embeddings.token_embedding.weight"),
        "positions": mine.pop("embeddings.position_embedding.weight"),
    }
    return named | _renamed(mine, {"final_layer_norm": "norm"})


def _options(config: Config) -> dict[str, Any]:
    activation = config["hidden_act"]
    if activation not in ("gelu", "quick_gelu"):
        raise RecipeError(f"A CLIP with the activation {activation!r} cannot be read; gelu and quick_gelu can.")
    if config["layer_norm_eps"] != 1e-5:
        raise RecipeError(f"A CLIP with layer_norm_eps {config['layer_norm_eps']} cannot be read; 1e-5 can.")
    return {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "mlp_ratio": config["intermediate_size"] / config["hidden_size"],
        "activation": activation,
    }


def _tower(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    if not any(name.startswith(prefix) for name in weights):
        prefix = ""
    tower = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return {name: value for name, value in tower.items() if not name.endswith("position_ids")}


def _renamed(weights: Weights, norms: Mapping[str, str]) -> Weights:
    """Blocks and norms; the three projections of attention are laid one above the other."""
    out: Weights = {}
    for name, value in weights.items():
        if not name.startswith("encoder.layers."):
            layer, _, kind = name.rpartition(".")
            out[f"{norms.get(layer, layer)}.{kind}"] = value
            continue
        number, _, part = name.removeprefix("encoder.layers.").partition(".")
        layer, _, kind = part.rpartition(".")
        if layer in _PARTS:
            out[f"blocks.{number}.{_PARTS[layer]}.{kind}"] = value
        elif layer == "self_attn.q_proj":
            fused = [weights[name.replace("q_proj", other)] for other in ("q_proj", "k_proj", "v_proj")]
            out[f"blocks.{number}.attention.qkv_{kind}"] = torch.cat(fused)
    return out


def _filled(config: Config, part: str, folder: Path) -> Config:
    """The part of a configuration with the library's defaults, which its files leave out."""
    common = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "num_hidden_layers": 12}
    defaults: dict[str, dict[str, Any]] = {
        "vision_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
        | {"image_size": 224, "patch_size": 32},
        "text_config": {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
        | {"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407},
    }
    given = config.get(part)
    if not isinstance(given, dict):
        raise DataError(f"{folder / 'config.json'} has no {part}; name the folder of a whole CLIP.")
    return common | defaults[part] | given


def _load(tower: torch.nn.Module, weights: Weights, folder: Path) -> None:
    expected = tower.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    both = expected.keys() & weights.keys()
    wrong = sorted(name for name in both if expected[name].shape != weights[name].shape)
    spare = sorted(weights.keys() - expected.keys())
    if missing or wrong or spare:
        parts = [("missing", missing), ("of another shape", wrong), ("not wanted", spare)]
        said = "; ".join(f"{what}: {_shortened(names)}" for what, names in parts if names)
        raise DataError(f"The weights in {folder} do not fit the configuration beside them ({said}).")
    tower.load_state_dict(weights)


def _shortened(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
