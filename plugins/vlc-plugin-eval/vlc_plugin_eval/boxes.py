"""Rectangles against maps of an image.

Shapes: H × W a map. Rectangles are x0, y0, x1, y1 in shares of the picture's sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vlc_core.interfaces.dataset import Rectangle


def area(box: Rectangle) -> float:
    """Of a rectangle; 0 where it is none."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(one: Rectangle, other: Rectangle) -> float:
    """The intersection over the union, 0…1."""
    x0, y0, x1, y1 = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    both = area((x0, y0, x1, y1))
    union = area(one) + area(other) - both
    return both / union if union > 0 else 0.0


def in_centre(box: Rectangle, width: int, height: int) -> Rectangle:
    """A rectangle of a picture as it lies in the picture's centre square, cut at its edges; perhaps without area."""
    short = min(width, height)
    sides = [(width / short, (width / short - 1) / 2), (height / short, (height / short - 1) / 2)]
    x0, y0, x1, y1 = (min(1.0, max(0.0, value * sides[i % 2][0] - sides[i % 2][1])) for i, value in enumerate(box))
    return x0, y0, x1, y1


def peak(map_HW: Tensor) -> tuple[float, float]:
    """The centre x, y of the largest value's pixel, the first of equal ones; in shares of the sides."""
    place = int(map_HW.flatten().argmax())
    height, width = map_HW.shape
    return (place % width + 0.5) / width, (place // width + 0.5) / height


def inside(point: tuple[float, float], boxes: Sequence[Rectangle]) -> bool:
    """Whether a point is in one of the rectangles."""
    return any(x0 <= point[0] <= x1 and y0 <= point[1] <= y1 for x0, y0, x1, y1 in boxes)


def above(map_HW: Tensor, threshold: float) -> Rectangle:
    """The smallest rectangle around all values of at least ``threshold`` times the largest."""
    rows, columns = (map_HW >= threshold * map_HW.max()).nonzero(as_tuple=True)
    height, width = map_HW.shape
    left, right = int(columns.min()) / width, (int(columns.max()) + 1) / width
    return left, int(rows.min()) / height, right, (int(rows.max()) + 1) / height


def weight(map_HW: Tensor, box: Rectangle) -> float:
    """What of the map lies in a rectangle, over the square root of its area: large boxes do not win by size alone.

    Li et al. 2021 (ALBEF), arXiv 2107.07651, section 5: how candidate boxes are ranked.
    """
    height, width = map_HW.shape
    x0, x1 = round(box[0] * width), round(box[2] * width)
    y0, y1 = round(box[1] * height), round(box[3] * height)
    part = map_HW[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return float(part.sum()) / math.sqrt(max(1, part.numel()))


def enlarged(maps_NSS: Tensor, side: int) -> Tensor:
    """Maps (N, S, S) to (N, side, side), bicubic.

    Beyond the picture there is nothing, and so the maps are enlarged: else what is in an outermost patch would be drawn
    out to the picture's edge, and its largest value lie there, beside the thing.
    """
    patches = maps_NSS.shape[-1]
    edge = round(side / patches)
    ringed = torch.nn.functional.pad(maps_NSS[:, None], (1, 1, 1, 1))
    large = torch.nn.functional.interpolate(ringed, size=(side + 2 * edge, side + 2 * edge), mode="bicubic")
    return large[:, 0, edge : edge + side, edge : edge + side]
