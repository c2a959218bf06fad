"""EfficientNet by the name of its size (Tan and Le 2019, arXiv 1905.11946), through the transformers library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, final

from pydantic import Field
from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, Exported, ImageEncoder
from vlc_core.options import PathLike
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.pretrained.image import TransformersImage

Variant = Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "l2"]
STEP, TOP = 8, 1280
"""Channels come in multiples of the one; the other is how many the last convolution has in B0."""


class Scaling(NamedTuple):
    """How a size differs from B0: its factors of width and depth, and the side of its images in pixels."""

    width: float
    depth: float
    size: int


SCALINGS: Mapping[str, Scaling] = {
    "b0": Scaling(1.0, 1.0, 224),
    "b1": Scaling(1.0, 1.1, 240),
    "b2": Scaling(1.1, 1.2, 260),
    "b3": Scaling(1.2, 1.4, 300),
    "b4": Scaling(1.4, 1.8, 380),
    "b5": Scaling(1.6, 2.2, 456),
    "b6": Scaling(1.8, 2.6, 528),
    "b7": Scaling(2.0, 3.1, 600),
    # Of Noisy Student, arXiv 1911.04252, table 7.
    "l2": Scaling(4.3, 5.3, 475),
}


@final
class EfficientNet(ImageEncoder):
    """EfficientNet B0 to B7 and L2 with global mean pooling, as ALIGN has it: without the last 1 × 1 convolution.

    So B0 gives vectors of 320, B7 of 640 and L2 of 1376. Tokens are the last map's positions. It normalises by the
    statistics of what it is given at once, a micro-batch of one rank.
    """

    def __init__(
        self,
        *,
        variant: Variant = "b0",
        config: dict[str, Any] = {},  # noqa: B006
        folder: Annotated[str, PathLike()] | None = None,
        hub: str | None = None,
        size: Annotated[int, Field(ge=32)] | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        top: bool = False,
        norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.01,
    ) -> None:
        """Builds the network, or loads it.

        Args:
            variant: Its size, for one that starts at random.
            config: Keys of the library's configuration that differ from that size's, such as drop_connect_rate or,
                for a narrower and shallower network, width_coefficient and depth_coefficient.
            folder: A folder with config.json and model.safetensors, instead.
            hub: A name on the hub, such as google/efficientnet-b3, instead.
            size: Side of the image in pixels; by default the variant's own.
            mean: Of each colour, subtracted from pixels in 0…1; by default the model's own, or CLIP's.
            std: What they are then divided by; likewise.
            top: Keep the last 1 × 1 convolution, to 1,280 channels in B0. ALIGN has none.
            norm_momentum: The weight of a step's statistics in the running ones that evaluation uses; short runs want
                0.1.

        Raises:
            RecipeError: Two of the origins are named, or the configuration is not usable.
            DataError: The model cannot be loaded.
        """
        super().__init__()
        loaded = folder is not None or hub is not None
        if loaded and config:
            raise RecipeError("config says what is built at random: leave it out beside folder or hub, or leave those")
        self.inner = TransformersImage(
            config=None if loaded else configuration(variant, config),
            folder=folder,
            hub=hub,
            size=size,
            mean=mean,
            std=std,
            pool="mean",
        )
        if not loaded:
            initialise(self.inner.model)
        self.width = self.inner.width if top else drop_top(self.inner.model)
        set_momentum(self.inner.model, norm_momentum)
        self.size, self.mean, self.std, self.top = self.inner.size, self.inner.mean, self.inner.std, top

    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size)."""
        self.inner.returns_tokens = self.returns_tokens
        encoded: Encoded = self.inner(pixels)
        return encoded

    def layer_names(self) -> list[list[str]]:
        """The stem, then the blocks one by one."""
        return [[f"inner.{name}" for name in names] for names in self.inner.layer_names()]

    def settled_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration, size and colours that were read, in place of where they were read from."""
        return self.inner.settled_options(options)

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes the network as it is now, which the library can hold only with its last convolution."""
        if not self.top:
            raise RecipeError(
                f"--to {to}: an efficientnet without its last convolution is not one of that library: train it with "
                "top: true to export it"
            )
        return self.inner.export(folder, to=to, tokenizer=tokenizer)


def configuration(variant: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The library's configuration of a size, with ``changes``."""
    scaling = SCALINGS[variant]
    said = {
        "model_type": "efficientnet",
        "width_coefficient": scaling.width,
        "depth_coefficient": scaling.depth,
        "image_size": scaling.size,
        **changes,
    }
    return {"hidden_dim": channels(TOP * said["width_coefficient"]), **said}


def channels(count: float) -> int:
    """The multiple of 8 nearest to ``count``, but at least 0.9 of it, as the network rounds all its widths."""
    rounded = max(STEP, int(count + STEP / 2) // STEP * STEP)
    return rounded if rounded >= 0.9 * count else rounded + STEP


def drop_top(model: Any) -> int:
    """Takes out the last convolution, its norm and its activation; gives the width before it."""
    width = int(model.encoder.top_conv.in_channels)
    model.encoder.top_conv = nn.Identity()
    model.encoder.top_bn = nn.Identity()
    model.encoder.top_activation = nn.Identity()
    return width


def initialise(model: nn.Module) -> None:
    """Starts a network as the paper's code does: convolutions with variance 2 / (outputs an input reaches), gains at 1.

    The library draws the gains of the norms with a deviation of 0.02, like weights: each norm then shrinks the signal
    fifty times, and images come out alike.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            reached = module.out_channels // module.groups * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / reached))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def set_momentum(model: nn.Module, momentum: float) -> None:
    """Sets it in every norm: the library hands the 0.99 of another convention to torch, which keeps one batch's."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
