"""A fusion encoder of the upper layers of a BERT, as ALBEF and TCL start theirs.

Li et al., ALBEF, arXiv 2107.07651, section 3.1.

Shapes: N pairs, L text tokens, P image tokens, W width, H heads.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, FusionEncoder
from vlc_core.options import PathLike
from vlc_plugin_encoders.pretrained.library import Origin, quietly, read_config, read_model, transformers
from vlc_plugin_encoders.pretrained.text import text_part

CROSS = "crossattention."


@final
class TransformersFusion(FusionEncoder):
    """The upper layers of a BERT or RoBERTa over the text's tokens, each with attention to the image's tokens.

    What the layers have of their own comes from the model; their attention to the image starts at random, because no
    text model has one. The lower layers are the text encoder's: there, set ``layers`` to what is left out here.

    Attributes:
        watched: The number of the layer whose attention to the image is kept in ``maps``; None for none.
        maps: (N, H, L, P) of the last forward pass, with gradient where there is one.
    """

    def __init__(
        self,
        text_width: int,
        image_width: int,
        *,
        config: dict[str, Any] | None = None,
        folder: Annotated[str, PathLike()] | None = None,
        hub: str | None = None,
        skip: Annotated[int, Field(ge=0)] | None = None,
        remote_code: bool = False,
        recompute: bool = False,
    ) -> None:
        """Loads the layers, or builds them from ``config``.

        Args:
            text_width: Of the text's tokens.
            image_width: Of the image's tokens.
            config: The model's configuration: ``model_type`` and whatever differs from its defaults.
            folder: A folder with ``config.json`` and ``model.safetensors``.
            hub: A name on the hub.
            skip: How many of the model's first layers are left out; by default half of them.
            remote_code: Allow code that comes with the model to run.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: The options name no model or several, one without such layers, or one of another width than
                the text encoder.
            DataError: The model cannot be loaded.
        """
        super().__init__()
        origin = Origin(config, folder, hub, remote_code)
        settings = text_part(read_config(origin), origin)
        total = int(settings.num_hidden_layers)
        first = total // 2 if skip is None else skip
        if first >= total:
            raise RecipeError(f"{origin.name} has {total} layers, so none is left after skip: {first}; skip fewer.")
        if settings.hidden_size != text_width:
            raise RecipeError(
                f"The layers of {origin.name} are {settings.hidden_size} wide and the text encoder is {text_width}; "
                "choose two of one width, such as the lower and upper half of one model."
            )
        self.width, self.recompute = text_width, recompute
        self._origin, self._settings = origin, settings
        self.layers = _layers(origin, settings, first, image_width)
        self.watched: int | None = None
        self.maps: Tensor | None = None

    def forward(self, text: Encoded, image: Encoded) -> Encoded:
        """Fuses N texts (N, L, W) under their mask with N images (N, P, ·)."""
        if text.tokens is None or image.tokens is None:
            side = "text" if text.tokens is None else "image"
            raise RecipeError(f"The fusion encoder reads tokens, and the {side} encoder gives none: choose another.")
        x_NLW, seen_NL = text.tokens, text.mask
        if seen_NL is not None:
            # An empty text would leave softmax nothing to sum over: its first place stands for it.
            seen_NL = seen_NL | (torch.arange(x_NLW.shape[1], device=x_NLW.device) == 0)
        for index, layer in enumerate(self.layers):
            given = (x_NLW, _spread(seen_NL), image.tokens, _spread(image.mask))
            if index == self.watched:
                x_NLW = self._watch(layer, *given)
            elif self.recompute and torch.is_grad_enabled():
                x_NLW = checkpoint(layer, *given, use_reentrant=False)
            else:
                x_NLW = layer(*given)
        return Encoded(x_NLW[:, 0], x_NLW, text.mask)

    def settled_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration that was read, in place of where it was read from."""
        return self._origin.settled(options, self._settings)

    def layer_names(self) -> list[list[str]]:
        """The layers; nothing comes before them."""
        return [[], *([f"layers.{index}"] for index in range(len(self.layers)))]

    def _watch(
        self, layer: nn.Module, x_NLW: Tensor, seen: Tensor | None, image_NPW: Tensor, image_seen: Tensor | None
    ) -> Tensor:
        """A layer whose attention to the image is written out, so that its weights can be kept."""
        cross: Any = layer.get_submodule(f"{CROSS}self")
        kept, cross.config = cross.config, copy.copy(cross.config)
        cross.config._attn_implementation = "eager"
        hook = cross.register_forward_hook(lambda _module, _given, out: setattr(self, "maps", out[1]))
        added = None if image_seen is None else (~image_seen).to(x_NLW.dtype) * torch.finfo(x_NLW.dtype).min
        try:
            watched: Tensor = layer(x_NLW, seen, image_NPW, added)
        finally:
            hook.remove()
            cross.config = kept
        return watched


def _spread(mask: Tensor | None) -> Tensor | None:
    """A mask over keys, the same for every head and query."""
    return None if mask is None else mask[:, None, None, :]


def _layers(origin: Origin, settings: Any, first: int, image_width: int) -> nn.ModuleList:
    """The layers from number ``first`` on, with attention to the image.

    Raises:
        RecipeError: The model has no such layers.
    """
    plain: Any = read_model(origin, settings)
    crossing = copy.deepcopy(settings)
    crossing.is_decoder = crossing.add_cross_attention = True
    crossing.num_hidden_layers = settings.num_hidden_layers - first
    crossing.vocab_size = 1 + max(0, getattr(settings, "pad_token_id", None) or 0)  # its embeddings are not kept
    refusal = f"{origin.name} has no layers that attend to images as well; name a BERT or a RoBERTa."
    try:
        with quietly():
            model = transformers().AutoModel.from_config(crossing, attn_implementation="sdpa")
        layers, lower = model.encoder.layer, plain.encoder.layer
        mine = {name for layer in layers for name, _ in layer.named_parameters()}
    except (AttributeError, ValueError, TypeError) as error:
        raise RecipeError(refusal) from error
    if not any(name.startswith(CROSS) for name in mine):
        raise RecipeError(refusal)
    for layer, source in zip(layers, lower[first:], strict=True):
        layer.load_state_dict({**layer.state_dict(), **source.state_dict()})
        # Texts are read in both directions; a decoder's layers would look back alone.
        layer.attention.self.is_causal = False
        _look_at(layer.crossattention.self, image_width, std=crossing.initializer_range)
    return nn.ModuleList(layers)


def _look_at(cross: Any, image_width: int, *, std: float) -> None:
    """Has keys and values read tokens of the image's width."""
    for name in ("key", "value"):
        layer = nn.Linear(image_width, cross.all_head_size)
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
        setattr(cross, name, layer)
