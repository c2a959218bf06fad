"""Changes of place and sharpness: pure functions from an RGB picture to another of the same size."""

from __future__ import annotations

import math

from PIL import Image, ImageEnhance, ImageFilter

_GREY = (128, 128, 128)


def flip(image: Image.Image) -> Image.Image:
    """Left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def blur(image: Image.Image, sigma: float) -> Image.Image:
    """A Gaussian of standard deviation ``sigma`` in pixels, by Pillow's three passes of extended boxes."""
    return image.filter(ImageFilter.GaussianBlur(sigma))


def sharpness(image: Image.Image, factor: float) -> Image.Image:
    """The distance of every level from a smoothed picture's times ``factor`` ≥ 0."""
    return ImageEnhance.Sharpness(image).enhance(factor)


def shear_x(image: Image.Image, amount: float) -> Image.Image:
    """Rows moved right by ``amount`` of their distance from the top."""
    return _affine(image, (1.0, -amount, 0.0, 0.0, 1.0, 0.0))


def shear_y(image: Image.Image, amount: float) -> Image.Image:
    """Columns moved down by ``amount`` of their distance from the left."""
    return _affine(image, (1.0, 0.0, 0.0, -amount, 1.0, 0.0))


def translate_x(image: Image.Image, distance: float) -> Image.Image:
    """Moved right by ``distance`` pixels."""
    return _affine(image, (1.0, 0.0, -distance, 0.0, 1.0, 0.0))


def translate_y(image: Image.Image, distance: float) -> Image.Image:
    """Moved down by ``distance`` pixels."""
    return _affine(image, (1.0, 0.0, 0.0, 0.0, 1.0, -distance))


def rotate(image: Image.Image, degrees: float) -> Image.Image:
    """Turned anticlockwise about the centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = image.width / 2, image.height / 2
    return _affine(image, (cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y))


def _affine(image: Image.Image, where_from: tuple[float, float, float, float, float, float]) -> Image.Image:
    """A picture whose point (x, y) shows the point (a·x + b·y + c, d·x + e·y + f) of ``image``; grey beyond it."""
    return image.transform(image.size, Image.Transform.AFFINE, where_from, Image.Resampling.BILINEAR, fillcolor=_GREY)
