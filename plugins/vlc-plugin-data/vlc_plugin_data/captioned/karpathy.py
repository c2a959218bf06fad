"""The split files with which image-text retrieval is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, final

from vlc_core import DataError, PathLike
from vlc_core.nearest import did_you_mean
from vlc_plugin_data.captioned.images import CaptionedDataset, CaptionedImages, read_annotations, text_of


@final
class Karpathy(CaptionedDataset):
    """One split of a file such as ``dataset_coco.json`` or ``dataset_flickr30k.json``.

    On COCO, training usually takes ``[train, restval]``, 113,287 images, and tests take ``test``, 5,000.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, PathLike()],
        images: Annotated[str, PathLike()],
        split: str | list[str],
    ) -> None:
        """Reads the split; images are read when they are asked for.

        Args:
            path: The JSON file.
            images: The folder of the images; on COCO the one that holds ``train2014`` and ``val2014``.
            split: Which one, or several.

        Raises:
            DataError: The file is missing or of another kind, or has no such split.
        """
        rows = [row for row in read_annotations(path, "images")["images"] if isinstance(row, dict)]
        wanted = [split] if isinstance(split, str) else split
        _require_splits(wanted, rows, path)
        kept = (row for row in rows if row.get("split") in wanted)
        self._images = CaptionedImages(((_place(row, path), _captions(row)) for row in kept), images)


def _require_splits(wanted: Sequence[str], rows: Sequence[dict[str, Any]], path: str) -> None:
    have = sorted({str(row["split"]) for row in rows if "split" in row})
    for name in wanted:
        if name not in have:
            listed = ", ".join(have) or "none"
            raise DataError(f"{path}: there is no split {name!r}; its splits are {listed}{did_you_mean(name, have)}")
    if not wanted:
        raise DataError("the option `split` is an empty list")


def _place(row: dict[str, Any], path: str) -> str:
    """The image's path: COCO's file says the folder too."""
    name, folder = row.get("filename"), row.get("filepath")
    if not isinstance(name, str):
        raise DataError(f"{path}: an image has no 'filename'")
    return f"{folder}/{name}" if isinstance(folder, str) and folder else name


def _captions(row: dict[str, Any]) -> list[str]:
    sentences = row.get("sentences")
    listed = sentences if isinstance(sentences, list) else []
    return [text_of(one.get("raw")) for one in listed if isinstance(one, dict)]
