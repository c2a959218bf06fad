"""Images of a folder with their captions, in Arrow's memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vlc_core import DataError, Dataset, Sample
from vlc_plugin_data.stores import read


class CaptionedImages:
    """Where images are and what is said of them, shared between processes that fork.

    Args:
        images: (path within ``root``, captions) of each.
        root: The folder of the images.
    """

    def __init__(self, images: Iterable[tuple[str, Sequence[str]]], root: str) -> None:
        paths: list[str] = []
        captions: list[str] = []
        ends = [0]
        for path, texts in images:
            paths.append(path)
            captions += texts
            ends.append(len(captions))
        self.root = root
        self._paths = pa.array(paths, pa.large_string())
        self._captions = pa.array(captions, pa.large_string())
        self._ends = np.array(ends, np.int64)

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, index: int) -> str:
        """Of an image within the folder."""
        found: str = self._paths[index].as_py()
        return found

    def image(self, index: int) -> bytes:
        """An encoded image.

        Raises:
            DataError: It is not there. The message is a clause.
        """
        return read(self.path(index), root=self.root)

    def texts(self, index: int) -> tuple[str, ...]:
        """The captions of an image."""
        start, stop = int(self._ends[index]), int(self._ends[index + 1])
        return tuple(self._captions[start:stop].to_pylist())


class CaptionedDataset(Dataset):
    """A dataset of captioned images without labels; who derives from it reads a format into ``_images``."""

    _images: CaptionedImages

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self._images.image(index), self.texts(index), key=self._images.path(index))

    def texts(self, index: int) -> tuple[str, ...]:
        return self._images.texts(index)

    def key(self, index: int) -> str:
        """``Sample.key`` of an image, without reading it."""
        return self._images.path(index)


def read_annotations(path: str, *lists: str) -> dict[str, Any]:
    """A JSON file that must be an object with the given ``lists``.

    Raises:
        DataError: It is missing, no JSON, or lacks a list; the message names the file and what it has.
    """
    try:
        found = json.loads(read(path).decode("utf-8-sig"))
    except DataError as error:
        raise DataError(f"{path}: {error}: check the option `path`") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    have = list(found) if isinstance(found, dict) else []
    for name in lists:
        if name not in have or not isinstance(found[name], list):
            keys = ", ".join(map(str, have[:12])) or "none"
            raise DataError(f"{path}: there is no list {name!r}; its keys are {keys}: is it another kind of file?")
    return dict(found)


def text_of(value: Any) -> str:
    """A caption on one line; half of a surrogate pair becomes a question mark."""
    return " ".join(str(value).encode("utf-8", "replace").decode("utf-8").split()) if isinstance(value, str) else ""
