"""``pretrained`` of ``vit`` and ``text-transformer``: towers of the transformers library's CLIP checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.model.weights import fit
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_encoders.weights import clip

CONFIG = "config.json"


def is_clip(path: Path) -> bool:
    """Whether ``path`` is the folder of a CLIP checkpoint, or the file of weights in one."""
    try:
        config = json.loads((_folder(path) / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "clip"


def image(encoder: VisionTransformer, path: Path) -> dict[str, Tensor]:
    """Puts the image tower of a CLIP into ``encoder``; gives the state of its head.

    Raises:
        RecipeError: It is another tower than ``encoder``.
        DataError: The checkpoint is broken.
    """
    found = clip.read(_folder(path))
    _same(_nature(encoder), _nature(found.image), path)
    fit(encoder, found.image.state_dict(), path)
    return {"weight": found.image_head}


def text(encoder: TextTransformer, path: Path) -> dict[str, Tensor]:
    """Puts the text tower of a CLIP into ``encoder``; gives the state of its head.

    Raises:
        RecipeError: It is another tower than ``encoder``.
        DataError: The checkpoint is broken.
    """
    found = clip.read(_folder(path))
    _same(_nature(encoder), _nature(found.text), path)
    fit(encoder, found.text.state_dict(), path)
    return {"weight": found.text_head}


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _nature(encoder: Any) -> dict[str, Any]:
    """The options that no shape of a weight gives away: with others the same weights are another function."""
    block = encoder.blocks[0]
    return {
        "heads": block.attention.heads,
        "activation": block.mlp.activation,
        "pool": encoder.pool,
        "causal": block.attention.causal,
        "pre_norm": getattr(encoder, "pre_norm", None) is not None,
    }


def _same(own: dict[str, Any], other: dict[str, Any], path: Path) -> None:
    wrong = [name for name in own if own[name] != other[name]]
    if wrong:
        wanted = ", ".join(f"{name}: {json.dumps(other[name])}" for name in wrong)
        raise RecipeError(f"the CLIP in {path} is another encoder than this one: set {wanted}")
