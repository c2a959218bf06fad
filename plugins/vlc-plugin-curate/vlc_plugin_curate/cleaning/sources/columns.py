"""Which columns of a table of links are meant, told by their names; case does not count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from vlc_plugin_data.inspecting import recognise

IMAGE = (*recognise.IMAGE, "url", "image_url", "uri", "link")
TEXT = (*recognise.TEXT, "alt", "alt_text", "alttext")
WIDTH = ("width", "image_width", "original_width")
HEIGHT = ("height", "image_height", "original_height")


class Meant(NamedTuple):
    """The columns of a table.

    Attributes:
        image: With paths or URLs.
        texts: With captions.
        width: In pixels; None where there is no such column.
        height: In pixels.
    """

    image: str
    texts: tuple[str, ...]
    width: str | None
    height: str | None


def named(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The options ``image`` and ``text`` of the dataset: as ``options`` has them, or else columns whose names tell."""
    have = list(names)
    image = options.get("image") or ("image" if "image" in have else _find(IMAGE, have))
    found = {"image": image, "text": options.get("text") or _find(TEXT, have)}
    return {option: column for option, column in found.items() if column is not None}


def meant(options: dict[str, Any], names: Iterable[str]) -> Meant | None:
    """The columns that :func:`named` names in ``options``; None where one of them is not there, or not named."""
    have = list(names)
    image, text = options.get("image"), options.get("text")
    texts = (text,) if isinstance(text, str) else tuple(text or ())
    if image not in have or not texts or not set(texts) <= set(have):
        return None
    width, height = _find(WIDTH, have), _find(HEIGHT, have)
    known = width is not None and height is not None
    return Meant(image, texts, width if known else None, height if known else None)


def _find(known: tuple[str, ...], have: list[str]) -> str | None:
    folded = {name.lower(): name for name in reversed(have)}
    return next((folded[name] for name in known if name in folded), None)
