"""Datasets of the Hugging Face library, from the hub or from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_core.batch import UNLABELLED
from vlc_core.nearest import did_you_mean
from vlc_plugin_data.hub import library, load_hub, load_local
from vlc_plugin_data.labels import agreed, read_labels


@final
class HuggingFace(Dataset):
    """A split of a dataset that the ``datasets`` library reads; its rows stay in files that are mapped into memory.

    Needs ``pip install 'vlc-plugin-data[huggingface]'``. Datasets that bring code of their own are not run.
    """

    def __init__(
        self,
        *,
        hub: str | None = None,
        path: Annotated[str, PathLike()] | None = None,
        config: str | None = None,
        revision: str | None = None,
        split: str = "train",
        image: str = "image",
        text: str | list[str] | None = None,
        label: str | None = None,
        classes: list[str] | None = None,
    ) -> None:
        """Opens the dataset, and downloads it first where it is of the hub and not there yet.

        Args:
            hub: Its name on the hub, such as ``nlphuji/flickr30k``.
            path: In place of ``hub``, a folder: one that ``save_to_disk`` wrote, or one of files that the library
                can read.
            config: Which of its configurations.
            revision: A commit or tag on the hub, so that a later run reads the same.
            split: Which split; a slice such as ``train[:10%]`` too, but not of a saved folder.
            image: The column with images.
            text: The column with captions, texts or lists of them; several columns each add to the captions.
            label: The column with class names or class numbers; empty, null and -1 mean no label.
            classes: The names of all classes in the order of their labels, where the dataset does not say.

        Raises:
            DataError: The library is not installed, there is no such dataset, split or column, or the hub cannot be
                reached.
        """
        if (hub is None) == (path is None):
            raise DataError("the dataset `huggingface` wants either `hub`, a name on the hub, or `path`, a folder")
        place = str(hub or path)
        if path is not None:
            rows = load_local(path, config=config, split=split)
        else:
            rows = load_hub(place, config=config, revision=revision, split=split)
        self._texts = (text,) if isinstance(text, str) else tuple(text or ())
        self._image = image
        _require(
            {image: "image"} | dict.fromkeys(self._texts, "text") | ({label: "label"} if label else {}), rows, place
        )
        self._rows = _undecoded(rows, image, place)
        self._captions = rows.select_columns(list(self._texts)) if self._texts else None
        self._labels: NDArray[np.int32] | None = None
        if label is not None:
            self._labels, self.classes, self.numbered = _labels(rows, label, classes, place)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        with _broken_rows():
            found = self._rows[index][self._image]
        label = UNLABELLED if self._labels is None else int(self._labels[index])
        return Sample(_encoded(found), self.texts(index), label, f"row-{index}")

    def texts(self, index: int) -> tuple[str, ...]:
        if self._captions is None:
            return ()
        with _broken_rows():
            row = self._captions[index]
        values = (row[name] for name in self._texts)
        return tuple(text or "" for value in values for text in (value if isinstance(value, list) else [value]))

    def labels(self) -> NDArray[np.int32] | None:
        return self._labels


def _require(columns: dict[str, str], rows: Any, place: str) -> None:
    have = list(rows.column_names)
    for name, option in columns.items():
        if name not in have:
            listed = ", ".join(have)
            raise DataError(
                f"{place}: there is no column {name!r}, which the option `{option}` names; the columns are "
                f"{listed}{did_you_mean(name, have)}"
            )


def _undecoded(rows: Any, image: str, place: str) -> Any:
    """The images alone, as files: decoding is the loader's."""
    datasets = library()
    kept = rows.select_columns([image])
    kind = rows.features[image]
    if isinstance(kind, datasets.Image):
        return kept.cast_column(image, datasets.Image(decode=False))
    if getattr(kind, "dtype", "") in ("binary", "large_binary") or isinstance(kind, dict):
        return kept
    raise DataError(f"{place}: the column {image!r} holds {kind}, not images")


def _encoded(found: Any) -> bytes:
    """The file of an image, which stands in the row or at a path.

    Raises:
        DataError: There is none. The message is a clause.
    """
    from vlc_plugin_data.stores import read

    if isinstance(found, dict):
        found = found.get("bytes") or found.get("path")
    if not found:
        raise DataError("the row has no image")
    return read(found) if isinstance(found, str) else bytes(found)


def _labels(rows: Any, label: str, classes: list[str] | None, place: str) -> Any:
    named = getattr(rows.features[label], "names", None)
    column = pa.chunked_array([pa.array([None if v is None else str(v) for v in rows[label]], pa.string())])
    return read_labels(column.dictionary_encode(), agreed(classes, named, place), place)


@contextmanager
def _broken_rows() -> Iterator[None]:
    """What the library raises on a row that cannot be read, as an error about this row."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"the row cannot be read: {error}") from error
