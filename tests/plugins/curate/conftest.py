"""Drawn pictures that differ, and what is done to pictures that are copied."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageOps

Change = Callable[[Image.Image], Image.Image]


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture of many coloured shapes on a ground of its own."""
    draw = random.Random(seed)
    picture = Image.new("RGB", size, tuple(draw.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(24):
        x, y = draw.randrange(size[0]), draw.randrange(size[1])
        w, h = draw.randrange(8, size[0] // 2), draw.randrange(8, size[1] // 2)
        shape = draw.choice([pen.rectangle, pen.ellipse])
        shape((x - w // 2, y - h // 2, x + w // 2, y + h // 2), fill=tuple(draw.randrange(256) for _ in range(3)))
    return picture


def encoded(picture: Image.Image, quality: int = 0) -> bytes:
    """A JPEG of a quality, or a PNG."""
    buffer = BytesIO()
    if quality:
        picture.save(buffer, "JPEG", quality=quality)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def compressed(picture: Image.Image, quality: int) -> Image.Image:
    return Image.open(BytesIO(encoded(picture, quality))).convert("RGB")


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Without ``share`` of the width and height, twice as much of it on one side."""
    w, h = picture.size
    left, top = round(w * share / 3), round(h * share * 2 / 3)
    return picture.crop((left, top, left + round(w * (1 - share)), top + round(h * (1 - share))))


CHANGES: dict[str, Change] = {
    "half": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.BILINEAR),
    "twice": lambda p: p.resize((p.width * 2, p.height * 2), Image.Resampling.BICUBIC),
    "square": lambda p: p.resize((96, 96), Image.Resampling.BICUBIC),
    "quality 20": lambda p: compressed(p, 20),
    "crop 3 %": lambda p: cropped(p, 0.03),
    "white frame": lambda p: ImageOps.expand(p, p.width // 12, "white"),
    "black bars": lambda p: ImageOps.expand(p, (0, p.height // 6), "black"),
    "frame, compressed": lambda p: compressed(ImageOps.expand(p, p.width // 20, "white"), 60),
    "brighter": lambda p: p.point(lambda v: min(255, int(v * 1.15))),
    "small, crop, compressed": lambda p: compressed(cropped(p, 0.02).resize((100, 80)), 50),
}


def write_images(folder: Path, images: dict[str, bytes]) -> Path:
    """Files by name; those of a class in its folder."""
    for name, data in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def drawn() -> SimpleNamespace:
    return SimpleNamespace(scene=scene, encoded=encoded, changes=CHANGES, write=write_images)
