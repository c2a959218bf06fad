"""Image models of the transformers library.

Shapes: N images, L tokens, C channels, H × W positions, W width.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import Encoded, Exported, ImageEncoder
from vlc_core.options import PathLike
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.layout import channels_last
from vlc_plugin_encoders.pretrained.layers import ordered, recompute_blocks
from vlc_plugin_encoders.pretrained.library import Origin, fetch, read_config, read_model, transformers

SUMMARY_TOKENS = ("cls_token", "class_embedding", "class_token")
FURTHER_TOKENS = ("distillation_token", "register_tokens")
Pool = Literal["auto", "token", "mean"]


@final
class TransformersImage(ImageEncoder):
    """Any image model of the library: ViT, DeiT, DINOv2, Swin, ResNet, EfficientNet, ConvNeXt, CLIP's, SigLIP's."""

    def __init__(
        self,
        *,
        config: dict[str, Any] | None = None,
        folder: Annotated[str, PathLike()] | None = None,
        hub: str | None = None,
        size: Annotated[int, Field(gt=0)] | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        pool: Pool = "auto",
        remote_code: bool = False,
        recompute: bool = False,
    ) -> None:
        """Loads the model, or builds it from ``config``.

        Args:
            config: The model's configuration: ``model_type`` and whatever differs from its defaults.
            folder: A folder with ``config.json`` and ``model.safetensors``.
            hub: A name on the hub.
            size: Side of the image in pixels; by default the model's own, or 224.
            mean: Of each colour, subtracted from pixels in 0…1; by default the model's own, or CLIP's.
            std: What they are then divided by; likewise.
            pool: What summarises the image: ``auto`` takes the model's own way, ``token`` its first token, ``mean``
                the mean of all.
            remote_code: Allow code that comes with the model to run.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: The options name no model or several, or one that encodes no images.
            DataError: The model cannot be loaded.
        """
        super().__init__()
        origin = Origin(config, folder, hub, remote_code)
        settings = image_part(read_config(origin))
        own = side(settings)
        self.size = size or own or 224
        # A configuration that says its own size keeps it, as weights that are loaded later may need.
        fresh = origin.config is not None and "image_size" not in origin.config
        if fresh and own is not None:
            settings.image_size = self.size
        self.model = read_model(origin, settings)
        if recompute:
            recompute_blocks(self)
        self.pool = pool
        self.has_summary_token = any(name.endswith(SUMMARY_TOKENS) for name, _ in self.model.named_parameters())
        takes = inspect.signature(self.model.forward).parameters
        resized = "interpolate_pos_encoding" in takes and not fresh and self.size != own
        self.extra = {"interpolate_pos_encoding": True} if resized else {}
        found = statistics(origin, self.mean, self.std)
        self.mean, self.std = found[0] if mean is None else mean, found[1] if std is None else std
        self._origin = origin
        self.width = self._probe(origin)
        # Where the result is a map, a summary token that the model has is not in it.
        self.leading_tokens = 0 if self._gives_map else leading(self.model)

    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size); tokens are the library's ``last_hidden_state``."""
        out = self.model(pixel_values=channels_last(pixels), **self.extra)
        x = out.last_hidden_state
        self._gives_map = x.ndim == 4
        x_NLW: Tensor = x.flatten(2).transpose(1, 2) if x.ndim == 4 else x
        own = getattr(out, "pooler_output", None)
        if self.pool == "auto" and own is not None:
            summary_NW: Tensor = own.flatten(1)
        elif self.pool == "token" or (self.pool == "auto" and self.has_summary_token):
            summary_NW = x_NLW[:, 0]
        else:
            summary_NW = x_NLW.mean(dim=1)
        return Encoded(summary_NW, x_NLW if self.returns_tokens else None)

    def layer_names(self) -> list[list[str]]:
        """The embeddings, then the blocks, those of stages one by one."""
        return ordered(self.model, "model")

    def settled_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration, size and colours that were read, in place of where they were read from."""
        seen = {"size": self.size, "mean": list(self.mean), "std": list(self.std)}
        return {**self._origin.settled(options, self.model.config), **seen}

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes the model as it is now."""
        from vlc_plugin_encoders.weights import export  # it imports this module

        export.check_library(to)
        return export.export_image(self, self.model, folder, pool=self.pool)

    @torch.no_grad()
    def _probe(self, origin: Origin) -> int:
        """The width, by encoding an empty image; also finds out that the size suits the model."""
        self.eval()
        try:
            out = self(torch.zeros(1, 3, self.size, self.size))
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            first = str(error).split("\n")[0]
            raise RecipeError(f"{origin.name} cannot encode an image of {self.size} pixels a side: {first}.") from error
        self.train()
        return int(out.summary.shape[1])


def leading(model: nn.Module) -> int:
    """How many tokens lead those of the patches: the summary's, one that was distilled to, registers."""
    named = [p for name, p in model.named_parameters() if name.endswith((*SUMMARY_TOKENS, *FURTHER_TOKENS))]
    return sum(1 if p.ndim == 1 else p.shape[-2] for p in named)


def image_part(config: Any) -> Any:
    """The configuration of the image tower, where ``config`` is of several towers."""
    return getattr(config, "vision_config", None) or config


def side(config: Any) -> int | None:
    """The side of the image that ``config`` speaks of."""
    size = getattr(config, "image_size", None)
    return max(size) if isinstance(size, (list, tuple)) else size


def statistics(origin: Origin, mean: Any, std: Any) -> tuple[Any, Any]:
    """Mean and deviation of the colours from the model's own preprocessing, if it says them."""
    if origin.config is not None:
        return mean, std
    try:
        found = fetch(origin, _preprocessing)
    except DataError:
        return mean, std
    return tuple(found.get("image_mean", mean)), tuple(found.get("image_std", std))


def _preprocessing(name: str, *, local_files_only: bool = False, trust_remote_code: bool = False) -> dict[str, Any]:
    place = Path(name, "preprocessor_config.json")
    if not Path(name).is_dir():
        find = transformers().utils.cached_file
        place = Path(find(name, "preprocessor_config.json", local_files_only=local_files_only))
    found = json.loads(place.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it is not a mapping")
    return found
