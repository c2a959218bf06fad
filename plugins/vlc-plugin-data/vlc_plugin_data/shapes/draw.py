"""Painting a scene at any resolution: polygons at four times the size or more, averaged down."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import cos, pi, sin

from PIL import Image, ImageDraw

from vlc_plugin_data.shapes.scene import BOX_HALF_SIDE, HALF_SIDE, Box, Scene, Thing

SUPERSAMPLING = 4
FINEST = 256
"""Small pictures are painted at least this wide and averaged down, so that they lose no more to rounding."""
HALF_A_PIXEL = 0.5
"""Pillow rounds corners down and paints the pixels on the outline as well: half a pixel too much on each side."""
Colour = tuple[int, int, int]
Points = tuple[tuple[float, float], ...]

PAINT: dict[str, Colour] = {
    "red": (214, 32, 38),
    "orange": (245, 130, 20),
    "yellow": (242, 204, 12),
    "green": (38, 150, 62),
    "blue": (32, 92, 214),
    "purple": (128, 52, 168),
    "pink": (246, 132, 190),
    "black": (28, 28, 32),
}
BACKDROP: dict[str, Colour] = {"white": (255, 255, 255), "cream": (250, 240, 214), "grey": (206, 208, 212)}
WOOD: Colour = (150, 104, 62)
WOOD_EDGE: Colour = (104, 68, 38)
FRAME = 0.022
"""The thickness of a box's frame, in shares of the picture's side."""


def paint(scene: Scene, size: int) -> Image.Image:
    """The picture of ``scene``, RGB, ``size`` × ``size`` pixels."""
    sampling = max(SUPERSAMPLING, -(-FINEST // size))
    side = size * sampling
    picture = Image.new("RGB", (side, side), BACKDROP[scene.background])
    draw = ImageDraw.Draw(picture)
    if scene.box is not None:
        _paint_box(draw, scene.box, side)
    for thing in scene.visible:
        _paint_thing(draw, thing, side, BACKDROP[scene.background])
    return picture.reduce(sampling)


def _paint_thing(draw: ImageDraw.ImageDraw, thing: Thing, side: int, backdrop: Colour) -> None:
    half = HALF_SIDE[thing.size]
    colour, shape = thing.kind

    def at(points: Points, share: float = 1.0) -> list[tuple[float, float]]:
        reach = half * share * side - HALF_A_PIXEL
        return [(thing.x * side + reach * u, thing.y * side + reach * v) for u, v in points]

    draw.polygon(at(outline(shape)), fill=PAINT[colour])
    if shape == "ring":
        draw.polygon(at(outline("circle"), 0.55), fill=backdrop)


def _paint_box(draw: ImageDraw.ImageDraw, box: Box, side: int) -> None:
    left, top = (edge * side + HALF_A_PIXEL for edge in box.rectangle[:2])
    right, bottom = (edge * side - HALF_A_PIXEL for edge in box.rectangle[2:])
    draw.rectangle((left, top, right, bottom), fill=WOOD if box.closed else None)
    width = max(1, round(FRAME * side))
    if box.closed:
        planks = 2 * BOX_HALF_SIDE * side / 4
        for plank in (1, 2, 3):
            y = top + plank * planks
            draw.line((left, y, right, y), fill=WOOD_EDGE, width=max(1, width // 2))
    draw.rectangle((left, top, right, bottom), outline=WOOD_EDGE, width=width)


@cache
def outline(shape: str) -> Points:
    """The corners of a shape, scaled so that it touches all sides of the square from -1 to 1."""
    points = _OUTLINES[shape]()
    spans = []
    for values in zip(*points, strict=True):
        middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2
        spans.append([(value - middle) / half for value in values])
    return tuple(zip(*spans, strict=True))


def _circle() -> Points:
    return tuple((cos(k * pi / 32), sin(k * pi / 32)) for k in range(64))


def _star() -> Points:
    radii = (1.0, 0.42)
    return tuple((radii[k % 2] * sin(k * pi / 5), -radii[k % 2] * cos(k * pi / 5)) for k in range(10))


def _heart() -> Points:
    steps = [k * pi / 24 for k in range(48)]
    return tuple((16 * sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t))) for t in steps)


def _cross() -> Points:
    a, b = 0.36, 1.0
    return (
        *((-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)),
        *((a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)),
    )


_OUTLINES: dict[str, Callable[[], Points]] = {
    "circle": _circle,
    "ring": _circle,
    "square": lambda: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": lambda: ((0, -1), (1, 0), (0, 1), (-1, 0)),
    "triangle": lambda: ((0, -1), (1, 1), (-1, 1)),
    "star": _star,
    "heart": _heart,
    "cross": _cross,
}
