"""A curve with error bars over a logarithmic axis, and a level beside it, as an SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 480, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 50


class Point(NamedTuple):
    """A mean with its deviation at some x above zero."""

    x: float
    mean: float
    deviation: float


def curve(points: Sequence[Point], *, level: float | None, level_name: str, y_name: str) -> str:
    """The figure.

    Args:
        points: In the order of their x, which is drawn on a scale of powers of two.
        level: A value without an x, drawn at x = 0 and as a broken line across; None for none.
        level_name: What it is.
        y_name: What the values are; they are in 0…1.
    """
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    lines += [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *_axes(points, y_name)]
    if level is not None:
        y = _y(level)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#b40" stroke-dasharray="5 4"/>')
        lines.append(
            f'<circle cx="{LEFT}" cy="{y}" r="5" fill="#b40"><title>{level_name}: {level:.4f}</title></circle>'
        )
        lines.append(_text(WIDTH - RIGHT, y - 6, f"{level_name} {level:.3f}", anchor="end", colour="#b40"))
    lines += _marks(points)
    return "\n".join([*lines, "</svg>", ""])


def _axes(points: Sequence[Point], y_name: str) -> Iterator[str]:
    floor = HEIGHT - BOTTOM
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        yield _text(LEFT - 8, y + 4, f"{tenth / 10:g}", anchor="end")
    for point in points:
        yield _text(_x(point.x, points), floor + 18, f"{point.x:g}")
    yield _text(LEFT, floor + 18, "0")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "labelled images a class")
    yield f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, y_name)}</g>'


def _marks(points: Sequence[Point]) -> Iterator[str]:
    places = [(_x(point.x, points), point) for point in points]
    joined = " ".join(f"{x},{_y(point.mean)}" for x, point in places)
    yield f'<polyline points="{joined}" fill="none" stroke="#06c" stroke-width="2"/>'
    for x, point in places:
        low, high = _y(point.mean - point.deviation), _y(point.mean + point.deviation)
        yield f'<line x1="{x}" x2="{x}" y1="{low}" y2="{high}" stroke="#06c"/>'
        told = f"{point.x:g}: {point.mean:.4f} ± {point.deviation:.4f}"
        yield f'<circle cx="{x}" cy="{_y(point.mean)}" r="4" fill="#06c"><title>{told}</title></circle>'


def _x(x: float, points: Sequence[Point]) -> float:
    """x = 0 is at the axis, the first point one step to its right, a doubling is a step."""
    steps = 1 + math.log2(points[-1].x / points[0].x)
    step = (WIDTH - LEFT - RIGHT - 10) / steps
    return round(LEFT + step * (1 + math.log2(x / points[0].x)), 1)


def _y(value: float) -> float:
    height = HEIGHT - TOP - BOTTOM
    return round(TOP + height * (1 - min(1.0, max(0.0, value))), 1)


def _text(x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#333") -> str:
    return f'<text x="{x}" y="{y}" font-size="12" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
