"""What a vision transformer sees of a patch: features of convolutions in place of pixels.

Shapes: N images, G patches a side, F features.
"""

from __future__ import annotations

from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_plugin_encoders.layout import channels_last


class ConvolutionStem(nn.Module):
    """3×3 convolutions of stride two until a patch is one place, each with a norm and GELU, twice as wide as the last.

    Small transformers learn sooner with it than from pixels. The norm is over a whole image, so that a sample never
    depends on its batch. Source: Xiao et al., Early Convolutions Help Transformers See Better, NeurIPS 2021, with
    another norm.
    """

    def __init__(self, patch: int, width: int) -> None:
        """Builds the layers.

        Args:
            patch: Side of a patch in pixels, a power of two from 2.
            width: F; the layers before the last have a half, a quarter … of it.

        Raises:
            RecipeError: ``patch`` is another number, or ``width`` cannot be halved so often.
        """
        super().__init__()
        layers = patch.bit_length() - 1
        if patch < 2 or patch != 2**layers or width % 2 ** (layers - 1):
            raise RecipeError(
                f"Convolutions cannot lead to patches of {patch} pixels in a model of width {width}; choose a patch of "
                "2, 4, 8 or 16 and a width that can be halved so often, or stem: patches."
            )
        self.layers = nn.Sequential()
        before = 3
        for left in reversed(range(layers)):
            after = width // 2**left
            self.layers.append(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False))
            self.layers.append(nn.GroupNorm(1, after))
            self.layers.append(nn.GELU())
            before = after

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (N, G·G, F) of normalised ``pixels``, row by row."""
        features: Tensor = self.layers(channels_last(pixels))
        return features.flatten(2).transpose(1, 2)
