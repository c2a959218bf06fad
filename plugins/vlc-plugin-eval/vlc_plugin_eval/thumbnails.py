"""Small pictures within a page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from PIL import Image

from vlc_core.batch import Sample
from vlc_core.errors import DataError
from vlc_core.loading.decode import decode


def thumbnail(sample: Sample, size: int) -> str:
    """The picture of ``sample`` as a ``data:`` address, at most ``size`` pixels a side; empty where there is none."""
    if not isinstance(sample.image, bytes | Image.Image):
        return ""
    try:
        picture = decode(sample.image).copy()
    except DataError:
        return ""
    picture.thumbnail((size, size))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
