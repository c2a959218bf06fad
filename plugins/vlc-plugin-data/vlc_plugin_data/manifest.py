"""Tables of images with captions, labels or both."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_core.batch import UNLABELLED
from vlc_plugin_data.columns import Columns
from vlc_plugin_data.grouping import group_rows, one_each
from vlc_plugin_data.labels import read_labels
from vlc_plugin_data.stores import read
from vlc_plugin_data.tables import Format, read_table
from vlc_plugin_data.vectors import one, require_names, width

Value = str | int


@final
class Manifest(Dataset):
    """A table with a row for each image, or for each pair of an image and a caption.

    CSV and TSV with a header, JSONL, Parquet; local or at any URL that fsspec can open. The image column
    holds paths, or in Parquet the encoded images themselves; with ``features`` vectors stand in place of images. The
    table stays in Arrow's memory, which
    worker processes share.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, PathLike()],
        image: str | None = None,
        text: str | list[str] | None = None,
        label: str | None = None,
        features: str | None = None,
        classes: list[str] | None = None,
        where: dict[str, Value | list[Value]] | None = None,
        group: bool = True,
        root: Annotated[str, PathLike()] | None = None,
        format: Format | None = None,
        delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None,
    ) -> None:
        """Reads the table; images are read when they are asked for.

        Args:
            path: The table.
            image: The column with the images' paths, or with encoded images; ``image`` if not given. Beside
                ``features`` it only says which rows are of one image, and may be left out.
            text: The column with captions: a text, or in JSONL and Parquet also a list of texts. Several
                columns each add to the captions.
            label: The column with class names or class numbers; empty, null and -1 mean no label.
            features: The column with precomputed embeddings in place of images, for the image encoder ``features``:
                lists of numbers, all of one length, in JSONL or Parquet.
            classes: The names of all classes in the order of their labels. Without it, names found in the
                table are sorted, and numbers are named after themselves.
            where: Keeps the rows whose column holds the value, or one of the values: ``{split: train}``.
            group: Whether rows with the same path are one image with several captions; otherwise each is a
                sample.
            root: The folder that paths are relative to; that of the table if not given.
            format: Of the table; told by its name if not given.
            delimiter: Between the fields of a CSV; a comma, or a tab in TSV, if not given.

        Raises:
            DataError: The table is missing, empty or malformed, lacks a column, or keeps no row.
        """
        texts = (text,) if isinstance(text, str) else tuple(text or ())
        image_given = image is not None
        image = "image" if image is None and features is None else image
        columns = Columns(image, texts, label, _wanted(where or {}), features, image_given=image_given)
        rows = read_table(path, columns, format=format, delimiter=delimiter)
        self._root = _parent(path) if root is None else root
        self._images, self._captions, self._keys = rows.image, rows.captions, rows.key
        self._paths = rows.image.type == "string"
        named = self._paths and image is not None
        if image is not None and rows.vector is not None:
            require_names(rows.image, image, path)
        self._groups = group_rows(rows.image) if group and named else one_each(len(rows.image))
        self._vectors = rows.vector
        self.vector_width = None if rows.vector is None else width(rows.vector, path)
        self._labels = None
        if rows.label is not None:
            self._labels, self.classes, self.numbered = read_labels(rows.label, classes, path)

    def __len__(self) -> int:
        return len(self._groups.starts) - 1

    def __getitem__(self, index: int) -> Sample:
        first = int(self._groups.rows(index)[0])
        return Sample(self._image(first), self.texts(index), self._label(index), self._key(first))

    def texts(self, index: int) -> tuple[str, ...]:
        if self._captions is None:
            return ()
        lists = (self._captions[int(row)].as_py() or [""] for row in self._groups.rows(index))
        return tuple(text or "" for texts in lists for text in texts)

    def labels(self) -> NDArray[np.int32] | None:
        if self._labels is None:
            return None
        groups, by_row = self._groups, self._labels
        in_order = by_row if groups.order is None else by_row[groups.order]
        return np.maximum.reduceat(in_order, groups.starts[:-1])

    def _image(self, row: int) -> bytes | NDArray[np.float32]:
        if self._vectors is not None:
            vector: NDArray[np.float32] | None = one(self._vectors, row)
            if vector is None:
                raise DataError("the row has no vector")
            return vector
        image = self._images[row].as_py()
        if not image:
            raise DataError("the row has no image")
        found: bytes = read(image, root=self._root) if self._paths else image
        return found

    def _key(self, row: int) -> str:
        named = self._images if self._paths else self._keys
        return (None if named is None else named[row].as_py()) or f"row-{row}"

    def _label(self, index: int) -> int:
        if self._labels is None:
            return UNLABELLED
        labels = {int(self._labels[row]) for row in self._groups.rows(index)} - {UNLABELLED}
        if len(labels) > 1:
            raise DataError("its rows have different labels")
        return labels.pop() if labels else UNLABELLED


def _wanted(where: dict[str, Value | list[Value]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(map(str, value if isinstance(value, list) else [value])) for name, value in where.items()}


def _parent(path: str) -> str:
    """The folder of ``path``, also where archives are chained to it with ``::``."""
    head, chain, rest = path.partition("::")
    folder, slash, _ = head.rpartition("/")
    return (folder + "/" if folder.endswith(":/") else folder or slash) + chain + rest
