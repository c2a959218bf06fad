"""COCO's caption annotations."""

from __future__ import annotations

from typing import Annotated, Any, final

from vlc_core import DataError, PathLike
from vlc_plugin_data.captioned.images import CaptionedDataset, CaptionedImages, read_annotations, text_of


@final
class CocoCaptions(CaptionedDataset):
    """A caption file of COCO (``captions_train2017.json``) beside the folder of its images.

    Images without a caption are left out; captions come in the order of their ids.
    """

    def __init__(self, *, path: Annotated[str, PathLike()], images: Annotated[str, PathLike()]) -> None:
        """Reads the annotations; images are read when they are asked for.

        Args:
            path: The JSON file with ``images`` and ``annotations``.
            images: The folder of the images, such as ``train2017``.

        Raises:
            DataError: The file is missing or of another kind, or no image has a caption.
        """
        found = read_annotations(path, "images", "annotations")
        captions = _captions(found["annotations"], path)
        listed = ((row, captions.get(row.get("id"))) for row in found["images"] if isinstance(row, dict))
        self._images = CaptionedImages(((_name(row, path), texts) for row, texts in listed if texts), images)
        if not len(self._images):
            raise DataError(f"{path}: no image has a caption: is it the file of another split?")


def _captions(annotations: list[Any], path: str) -> dict[Any, list[str]]:
    """The captions of each image by its id."""
    captions: dict[Any, list[str]] = {}
    for row in sorted((row for row in annotations if isinstance(row, dict)), key=_number):
        if "caption" not in row:
            raise DataError(
                f"{path}: its annotations hold no 'caption' but {', '.join(map(str, row))}: use captions_*.json"
            )
        captions.setdefault(row.get("image_id"), []).append(text_of(row["caption"]))
    return captions


def _number(row: dict[str, Any]) -> int:
    number = row.get("id")
    return number if isinstance(number, int) else 0


def _name(row: dict[str, Any], path: str) -> str:
    name = row.get("file_name")
    if not isinstance(name, str):
        raise DataError(f"{path}: the image {row.get('id')} has no 'file_name'")
    return name
