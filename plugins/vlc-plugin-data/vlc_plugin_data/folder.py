"""Class folders: a folder for each class, and every image anywhere below it is one of its samples."""

from __future__ import annotations

import os
from collections import Counter
from typing import Annotated, Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_plugin_data.retries import patiently
from vlc_plugin_data.stores import open_store, read

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".jp2", ".avif")


@final
class Folder(Dataset):
    """Images in a folder for each class, with labels in the alphabetical order of the folders.

    Hidden files and folders are passed over, and so are files whose names do not end like an image's. A class folder
    may be a link, as in a subset of another set; links to folders further down are not followed.
    """

    def __init__(self, *, path: Annotated[str, PathLike()], underscores: bool = False) -> None:
        """Lists the folder.

        Args:
            path: The folder of class folders; local, or a URL that fsspec can open.
            underscores: Whether class names keep the underscores of the folders' names; otherwise they become
                spaces, as prompts want.

        Raises:
            DataError: The path is missing or holds no class folders, or a class holds no image.
        """
        file_system, base = open_store(path)
        self._root = path
        folders, linked = _class_folders(file_system, base, path)
        files = patiently(lambda: _images(file_system, base, linked), path)
        position = {folder: label for label, folder in enumerate(folders)}
        files = [file for file in files if file.partition("/")[0] in position]
        labels = [position[file.partition("/")[0]] for file in files]
        _refuse_empty_classes(folders, labels, path)
        self.classes = [folder if underscores else folder.replace("_", " ").strip() for folder in folders]
        self._files = pa.array(files, pa.large_string())
        self._labels = np.array(labels, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._labels)

    def texts(self, index: int) -> tuple[str, ...]:
        return ()

    def labels(self) -> NDArray[np.int32]:
        return self._labels

    def __getitem__(self, index: int) -> Sample:
        file = self._files[index].as_py()
        return Sample(image=read(file, root=self._root), label=int(self._labels[index]), key=file)


def _class_folders(file_system: Any, base: str, path: str) -> tuple[list[str], list[str]]:
    """The names of all class folders, sorted, and those of them that are links."""
    try:
        entries = patiently(lambda: file_system.ls(base, detail=True), path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"there is no folder {path}: check the option `path`") from error
    if [entry["name"] for entry in entries if entry["type"] == "file"] == [base]:
        raise DataError(f"{path} is a file: the option `path` wants the folder that holds the class folders")
    real = [_name(entry["name"]) for entry in entries if entry["type"] == "directory"]
    links = [entry["name"] for entry in entries if entry.get("islink")]
    linked = [_name(link) for link in links if file_system.isdir(link) and not _name(link).startswith(".")]
    folders = sorted({name for name in real if name and not name.startswith(".")} | {*linked})
    if not folders:
        raise DataError(
            f"the folder {path} holds no class folders: put the images of each class in a folder of its own"
        )
    return folders, linked


def _images(file_system: Any, base: str, linked: list[str]) -> list[str]:
    """The paths of all images relative to ``base``, sorted; those in ``linked`` folders, which no walk enters, too."""
    start = len(base.rstrip("/")) + 1 if base.rstrip("/") else 0
    places = [base, *(f"{base.rstrip('/')}/{link}" for link in linked)]
    files = {file[start:] for place in places for file in file_system.find(place)}
    return sorted(file for file in files if file.lower().endswith(SUFFIXES) and not _hidden(file))


def _hidden(file: str) -> bool:
    return any(part.startswith(".") for part in file.split("/"))


def _name(path: str) -> str:
    return os.path.basename(path.rstrip("/"))


def _refuse_empty_classes(folders: list[str], labels: list[int], path: str) -> None:
    images = Counter(labels)
    empty = [folder for label, folder in enumerate(folders) if not images[label]]
    if len(empty) == len(folders):
        raise DataError(f"the folder {path} holds no image: its files must end in {', '.join(SUFFIXES)}")
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise DataError(f"{path}: no image in the class folder {', '.join(empty[:5])}{more}: add some or remove it")
