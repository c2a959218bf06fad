"""Residual networks.

Shapes: N images, C channels, H × W positions, L = H·W tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, final

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded, Exported, ImageEncoder
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.layout import channels_last

Positive = Annotated[int, Field(gt=0)]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
EXPANSION = 4


class Normed(nn.Module):
    """A convolution without bias and its batch normalisation."""

    def __init__(self, before: int, after: int, size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(after)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, before, H, W) to (N, after, H / stride, W / stride)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Residual(nn.Module):
    """Two 3×3 layers, or with ``bottleneck`` a 3×3 between two 1×1, added to their input."""

    def __init__(self, before: int, width: int, *, stride: int, bottleneck: bool) -> None:
        super().__init__()
        after = width * (EXPANSION if bottleneck else 1)
        if bottleneck:
            sizes = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        else:
            sizes = [(before, width, 3, stride), (width, after, 3, 1)]
        layers = [Normed(a, b, size, stride=s) for a, b, size, s in sizes]
        nn.init.zeros_(layers[-1].norm.weight)
        self.layers = nn.ModuleList(layers)
        same = before == after and stride == 1
        self.shortcut = None if same else Normed(before, after, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, before, H, W) to (N, after, H / stride, W / stride)."""
        residual = x
        for layer in self.layers[:-1]:
            residual = F.relu(layer(residual), inplace=True)
        residual = self.layers[-1](residual)
        return F.relu(residual + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


@final
class ResNet(ImageEncoder):
    """A residual network of 18 to 101 layers; batch statistics are those of one rank's micro-batch.

    The stride of a bottleneck is in its 3×3 layer. Source: He et al., CVPR 2016; the small stem is that paper's for
    CIFAR; the last normalisation of each residual starts at zero, as in Goyal et al., 2017.
    """

    def __init__(
        self,
        *,
        size: Positive = 224,
        depth: Literal[18, 34, 50, 101] = 50,
        width: Positive = 64,
        stem: Literal["imagenet", "small"] = "imagenet",
    ) -> None:
        """Builds the network.

        Args:
            size: Side of the image in pixels.
            depth: Layers; from 50 on with bottlenecks, which make the result four times wider.
            width: Channels of the first stage; each of the other three doubles them.
            stem: ``imagenet`` begins with a 7×7 layer and pooling, which divide the side by four; ``small`` with one
                3×3 layer at full size, for images of 64 pixels and less.
        """
        super().__init__()
        self.size = size
        bottleneck = depth >= 50
        self.small = stem == "small"
        self.stem = Normed(3, width, 3) if self.small else Normed(3, width, 7, stride=2)
        blocks, before = [], width
        for stage, number in enumerate(BLOCKS[depth]):
            for block in range(number):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Residual(before, width << stage, stride=stride, bottleneck=bottleneck))
                before = (width << stage) * (EXPANSION if bottleneck else 1)
        self.blocks = nn.ModuleList(blocks)
        self.width = before

    def layer_names(self) -> list[list[str]]:
        """The stem, then the residual blocks."""
        return [["stem"], *([f"blocks.{number}"] for number in range(len(self.blocks)))]

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes a ResNet of the transformers library, which serves as a backbone."""
        from vlc_plugin_encoders.weights import export, to_library  # they import this module

        export.check_library(to)
        return export.export_image(self, to_library.residual(self), folder)

    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size); tokens are the positions of the last map, row by row."""
        x_NCHW = F.relu(self.stem(channels_last(pixels)), inplace=True)
        if not self.small:
            x_NCHW = F.max_pool2d(x_NCHW, 3, stride=2, padding=1)
        for block in self.blocks:
            x_NCHW = block(x_NCHW)
        x_NLC = x_NCHW.flatten(2).transpose(1, 2)
        return Encoded(x_NLC.mean(dim=1), x_NLC if self.returns_tokens else None)
