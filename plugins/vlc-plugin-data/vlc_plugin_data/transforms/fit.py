"""The transform `fit`: training sees what evaluation sees."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from vlc_core import Transform
from vlc_core.loading.picture import Picture, fit


@final
class CentreCrop(Transform):
    """The shorter side resized (bicubic, antialiased) and the centre kept, as in evaluation."""

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        return fit(picture, size)
