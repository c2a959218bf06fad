"""Image models of timm.

Shapes: N images, L tokens, W width.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import Encoded, ImageEncoder
from vlc_plugin_encoders.layout import channels_last
from vlc_plugin_encoders.pretrained.layers import lifted

NOBODYS = "?"


@final
class TimmImage(ImageEncoder):
    """Any model of timm, by its name there, with its own pooling and the colours that it was trained with."""

    def __init__(
        self,
        *,
        name: str,
        trained: bool = False,
        size: Annotated[int, Field(gt=0)] | None = None,
    ) -> None:
        """Makes the model.

        Args:
            name: What timm calls it, such as ``vit_small_patch16_224``.
            trained: Whether to fetch the weights that timm has for it.
            size: Side of the image in pixels; by default the model's own.

        Raises:
            RecipeError: timm is not installed, does not load on this machine, or has no such model.
            DataError: The weights cannot be fetched.
        """
        super().__init__()
        library = timm()
        self.model = create(library, name, trained, size)
        settings = self.model.pretrained_cfg
        self.size = size or int(settings["input_size"][-1])
        self.mean, self.std = tuple(settings["mean"]), tuple(settings["std"])
        self.map_ends_in_channels = bool(getattr(self.model, "output_fmt", "") == "NHWC")
        self.width = self._probe(name)
        self.leading_tokens = int(getattr(self.model, "num_prefix_tokens", 0)) if self.gives_tokens else 0

    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size); tokens are what timm calls the features."""
        x = self.model.forward_features(channels_last(pixels))
        summary_NW: Tensor = self.model.forward_head(x, pre_logits=True).flatten(1)
        if not self.returns_tokens:
            return Encoded(summary_NW)
        if x.ndim == 4:
            x = x.flatten(1, 2) if self.map_ends_in_channels else x.flatten(2).transpose(1, 2)
        # A head that ends in a layer of its own makes the summary wider than the features: they are no tokens then.
        return Encoded(summary_NW, x if x.shape[-1] == summary_NW.shape[1] else None)

    def layer_names(self) -> list[list[str]]:
        """timm's own order: the stem, then the blocks, a last norm with the last of them."""
        return grouped(timm().models.group_parameters, self.model) or super().layer_names()

    @torch.no_grad()
    def _probe(self, name: str) -> int:
        self.eval()
        try:
            out = self(torch.zeros(1, 3, self.size, self.size))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise RecipeError(
                f"timm's {name} cannot encode an image of {self.size} pixels a side ({error}); choose another size."
            ) from error
        self.train()
        self.gives_tokens = out.tokens is not None
        return int(out.summary.shape[1])


class _Probed(NamedTuple):
    """A model's parameters, and one that no group of any model matches."""

    model: Any

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        yield from self.model.named_parameters()
        yield NOBODYS, None


def grouped(group_parameters: Callable[..., Mapping[int, list[str]]], model: Any) -> list[list[str]]:
    """The layers of ``model`` from its input on, without what timm finds in none; empty where it knows no order.

    Args:
        group_parameters: timm's function of that name.
        model: One of timm's.
    """
    if not hasattr(model, "group_matcher"):
        return []
    groups = group_parameters(_Probed(model), model.group_matcher(coarse=False))
    found = [lifted(model, groups[number]) for number in sorted(groups) if NOBODYS not in groups[number]]
    return [[f"model.{name}" for name in group] for group in found]


def timm() -> Any:
    """The library.

    Raises:
        RecipeError: It cannot be imported; without torchvision's compiled operators it fails in ways of its own.
    """
    try:
        return importlib.import_module("timm")
    except Exception as error:  # its imports fail with RuntimeError and AttributeError too
        raise RecipeError(
            f"timm cannot be imported ({type(error).__name__}: {error}); install it with: "
            'pip install "vlc-plugin-encoders[timm]", and with it the torchvision that belongs to your torch.'
        ) from error


def create(library: Any, name: str, trained: bool, size: int | None) -> Any:
    """timm's model without a classifier.

    Raises:
        RecipeError: There is no such model, or it has one size only.
        DataError: Its weights cannot be fetched.
    """
    if not library.is_model(name):
        near = ", ".join(library.list_models(f"*{name.split('_')[0]}*")[:3]) or "see timm.list_models()"
        raise RecipeError(f"timm has no model {name!r}; similar names: {near}.")
    options = {} if size is None else {"img_size": size}
    try:
        return library.create_model(name, pretrained=trained, num_classes=0, **options)
    except TypeError:  # convolutional models take images of any size and no such option
        return library.create_model(name, pretrained=trained, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"timm cannot make {name}: {str(error).splitlines()[0]}.") from error
