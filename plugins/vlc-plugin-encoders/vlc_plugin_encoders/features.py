"""Precomputed embeddings in place of images.

Shapes: N images, F numbers of an embedding.
"""

from __future__ import annotations

from typing import Annotated, final

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from vlc_core.interfaces.encoder import Encoded, ImageEncoder


@final
class Features(ImageEncoder):
    """Hands on what another model made of the images: only the head is trained, at almost no cost.

    The data gives the vectors: a ``manifest`` with ``features: COLUMN``. Source: locked-image tuning with the image
    tower run beforehand (Zhai et al., CVPR 2022, section 3).
    """

    def __init__(self, *, width: Annotated[int, Field(gt=0)], normalise: bool = False) -> None:
        """Takes the options.

        Args:
            width: How many numbers a vector has.
            normalise: Whether each vector is brought to length one; a vector of zeros stays as it is.
        """
        super().__init__()
        self.size, self.gives_tokens = 0, False
        self.width = self.vector_width = width
        self.normalise = normalise

    def forward(self, pixels: Tensor) -> Encoded:
        """Gives the vectors ``pixels`` (N, F) back; there are no tokens."""
        return Encoded(F.normalize(pixels, dim=1) if self.normalise else pixels)
