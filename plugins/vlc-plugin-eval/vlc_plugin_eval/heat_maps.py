"""Maps of attention drawn over their pictures, on a page that loads nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from vlc_core.interfaces.dataset import Rectangle
from vlc_core.loading.picture import Picture, fit
from vlc_core.loading.vectors import as_picture
from vlc_plugin_data.pages import template

TITLE = "Where the model looks"


class Shown(NamedTuple):
    """A picture, a phrase, the rectangles of what that names, the map (H, W) and where it is largest."""

    image: bytes | Image.Image | NDArray[np.float32]
    text: str
    boxes: tuple[Rectangle, ...]
    map: Tensor
    peak: tuple[float, float]


def page(shown: Sequence[Shown], side: int) -> str:
    """An HTML page with the pictures, ``side`` pixels wide: map red, what is named green, peak blue."""
    figures = [{"picture": _uri(one, side), "text": one.text} for one in shown]
    return template(__file__, "heat_maps.html.jinja").render(title=TITLE, side=side, figures=figures)


def overlay(picture: NDArray[np.uint8], map_HW: Tensor) -> NDArray[np.uint8]:
    """The picture (S, S, 3) with the map in red over it; the largest value covers it most."""
    side = picture.shape[0]
    scaled = (map_HW.clamp(min=0) / map_HW.max().clamp(min=1e-12) * 255).byte().numpy()
    heat = np.asarray(Image.fromarray(scaled).resize((side, side), Image.Resampling.BILINEAR), np.float32)[..., None]
    red = np.array([255, 0, 0], np.float32)
    share = 0.7 * heat / 255
    blended: NDArray[np.uint8] = (picture * (1 - share) + red * share).round().astype(np.uint8)
    return blended


def _uri(one: Shown, side: int) -> str:
    drawn = Image.fromarray(overlay(fit(Picture(as_picture(one.image)), side), one.map))
    pen = ImageDraw.Draw(drawn)
    for x0, y0, x1, y1 in one.boxes:
        pen.rectangle([x0 * side, y0 * side, x1 * side - 1, y1 * side - 1], outline=(0, 160, 0), width=2)
    x, y = (place * side for place in one.peak)
    pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=(0, 60, 255))
    file = BytesIO()
    drawn.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
