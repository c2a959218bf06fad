"""``vit``, ``resnet`` and ``text-transformer`` as models of the transformers library, exactly.

The library has one model for each way to summarise: ViT has a summary token, CLIP's tower has one and normalises before
the first block, SigLIP's tower without its head has none and is averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_plugin_encoders.pretrained.library import transformers
from vlc_plugin_encoders.resnet import BLOCKS, EXPANSION, ResNet
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer

Weights = dict[str, Tensor]

_CLIP = {"attention_norm": "layer_norm1", "mlp_norm": "layer_norm2", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
_CLIP |= {"attention.qkv": "self_attn.{}_proj", "attention.out": "self_attn.out_proj"}
_VIT = {"attention_norm": "layernorm_before", "mlp_norm": "layernorm_after", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
_VIT |= {"attention.qkv": "attention.{}_proj", "attention.out": "attention.o_proj"}


def vision(encoder: VisionTransformer) -> nn.Module:
    """A ViT, CLIP's tower or SigLIP's, whichever computes what ``encoder`` computes.

    Raises:
        RecipeError: None of them does, or the library is not installed.
    """
    if encoder.stem is not None:
        raise RecipeError(
            "The transformers library has no vision transformer with a stem of convolutions: nothing was exported; "
            "train with stem: patches for that."
        )
    options = _options(encoder) | {"image_size": encoder.size, "patch_size": encoder.patch}
    own = encoder.state_dict()
    library = transformers()
    if encoder.pre_norm is not None and encoder.pool == "mean":
        raise RecipeError(
            "The transformers library has no vision transformer that normalises before its first block (pre_norm: "
            "true) and averages its patches (pool: mean): nothing was exported; train with pool: token for that."
        )
    if encoder.pre_norm is not None:
        model = library.CLIPVisionModel(library.CLIPVisionConfig(**options))
        named = {"embeddings.class_embedding": own["summary_token"]} | _clip_embeddings(own, encoder.patch)
        named |= _norm(own, "pre_norm", "pre_layrnorm") | _norm(own, "norm", "post_layernorm")
        return _loaded(model, named | _blocks(own, "encoder.layers", _CLIP))
    if encoder.pool == "mean":
        model = library.SiglipVisionModel(library.SiglipVisionConfig(**options, vision_use_head=False))
        named = _clip_embeddings(own, encoder.patch) | {"embeddings.patch_embedding.bias": own["patch_embed.bias"]}
        return _loaded(model, named | _norm(own, "norm", "post_layernorm") | _blocks(own, "encoder.layers", _CLIP))
    model = library.ViTModel(library.ViTConfig(**options), add_pooling_layer=False)
    named = {
        "embeddings.cls_token": own["summary_token"][None, None],
        "embeddings.position_embeddings": own["positions"][None],
        "embeddings.patch_embeddings.projection.weight": _kernels(own, encoder.patch),
        "embeddings.patch_embeddings.projection.bias": own["patch_embed.bias"],
    }
    return _loaded(model, named | _norm(own, "norm", "layernorm") | _blocks(own, "layers", _VIT))


def residual(encoder: ResNet) -> nn.Module:
    """A ResNet of the library.

    Raises:
        RecipeError: The encoder has the small stem, or the library is not installed.
    """
    if encoder.small:
        raise RecipeError(
            "The ResNet of the transformers library begins with a 7×7 layer and pooling, and this encoder with one "
            "3×3 layer (stem: small): nothing was exported; train with stem: imagenet for that."
        )
    first = encoder.stem.conv.out_channels
    block: Any = encoder.blocks[0]
    bottleneck = len(block.layers) == 3
    depths = next(numbers for numbers in BLOCKS.values() if sum(numbers) == len(encoder.blocks))
    library = transformers()
    model = library.ResNetModel(
        library.ResNetConfig(
            embedding_size=first,
            hidden_sizes=[(first << stage) * (EXPANSION if bottleneck else 1) for stage in range(len(depths))],
            depths=list(depths),
            layer_type="bottleneck" if bottleneck else "basic",
        )
    )
    places = [f"encoder.stages.{s}.layers.{b}" for s, number in enumerate(depths) for b in range(number)]
    named: Weights = {}
    for name, value in encoder.state_dict().items():
        if name.startswith("stem."):
            named[_layer(f"embedder.embedder.{name.removeprefix('stem.')}")] = value
            continue
        _, number, rest = name.split(".", 2)
        named[_layer(f"{places[int(number)]}.{rest.replace('layers.', 'layer.')}")] = value
    return _loaded(model, named)


def text(encoder: TextTransformer, vocabulary: Vocabulary) -> nn.Module:
    """CLIP's text tower, whose end token has the id :func:`end_id`.

    Raises:
        RecipeError: The encoder computes something else, or the library is not installed.
    """
    block: Any = encoder.blocks[0]
    if encoder.pool != "end" or not block.attention.causal or vocabulary.end is None:
        raise RecipeError(
            "The text tower of the transformers library's CLIP is causal and summarises in an end token: nothing was "
            "exported; train with causal: true, pool: end and a tokenizer that has one for that."
        )
    library = transformers()
    own = encoder.state_dict()
    table = own["token_embed.weight"]
    if end_id(vocabulary) == vocabulary.size:
        table = torch.cat([table, table[vocabulary.end][None]])
    named = {"embeddings.token_embedding.weight": table, "embeddings.position_embedding.weight": own["positions"]}
    config = library.CLIPTextConfig(
        **_options(encoder),
        vocab_size=table.shape[0],
        max_position_embeddings=encoder.context,
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.start,
        eos_token_id=end_id(vocabulary),
    )
    named |= _norm(own, "norm", "final_layer_norm") | _blocks(own, "encoder.layers", _CLIP)
    return _loaded(library.CLIPTextModel(config), named)


def end_id(vocabulary: Vocabulary) -> int | None:
    """The end token's id in CLIP's text tower of the library.

    That tower looks for its end token, but takes the id 2 for the sign of old files, where the end token was the
    greatest id of a text. An end token with that id is given a second one behind all others, with the same embedding.
    """
    return vocabulary.size if vocabulary.end == 2 else vocabulary.end


def _options(encoder: VisionTransformer | TextTransformer) -> dict[str, Any]:
    block: Any = encoder.blocks[0]
    return {
        "hidden_size": encoder.width,
        "num_hidden_layers": len(encoder.blocks),
        "num_attention_heads": block.attention.heads,
        "intermediate_size": block.mlp.up.weight.shape[0],
        "hidden_act": block.mlp.activation,
        "layer_norm_eps": block.attention_norm.eps,
    }


def _clip_embeddings(own: Mapping[str, Tensor], patch: int) -> Weights:
    return {
        "embeddings.patch_embedding.weight": _kernels(own, patch),
        "embeddings.position_embedding.weight": own["positions"],
    }


def _kernels(own: Mapping[str, Tensor], patch: int) -> Tensor:
    """The patch layer as a convolution: its columns are in a kernel's order."""
    weight = own["patch_embed.weight"]
    return weight.reshape(weight.shape[0], 3, patch, patch)


def _norm(own: Mapping[str, Tensor], ours: str, theirs: str) -> Weights:
    return {f"{theirs}.{kind}": own[f"{ours}.{kind}"] for kind in ("weight", "bias")}


def _blocks(own: Mapping[str, Tensor], prefix: str, parts: Mapping[str, str]) -> Weights:
    """The blocks by the library's names; the fused projection of attention is cut into its three."""
    named: Weights = {}
    for name, value in own.items():
        if not name.startswith("blocks."):
            continue
        _, number, part = name.split(".", 2)
        if part.startswith("attention.qkv_"):
            kind = part.removeprefix("attention.qkv_")
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                named[f"{prefix}.{number}.{parts['attention.qkv'].format(letter)}.{kind}"] = third
            continue
        layer, _, kind = part.rpartition(".")
        named[f"{prefix}.{number}.{parts[layer]}.{kind}"] = value
    return named


def _layer(name: str) -> str:
    return name.replace(".conv.", ".convolution.").replace(".norm.", ".normalization.")


def _loaded(model: Any, weights: Mapping[str, Tensor]) -> nn.Module:
    """``model`` with ``weights``, all of them and each in its place; a misfit is an error of this file."""
    with torch.no_grad():
        model.load_state_dict({name: value.contiguous() for name, value in weights.items()}, strict=True)
    return model.eval()  # type: ignore[no-any-return]
