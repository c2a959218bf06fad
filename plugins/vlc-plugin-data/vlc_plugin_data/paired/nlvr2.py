"""NLVR2: one statement about two photographs."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_plugin_data.paired.rows import Row, Rows, field_of, lines_of
from vlc_plugin_data.paired.sentences import TRUTH, truth_of
from vlc_plugin_data.stores import read


@final
class Nlvr2(Dataset):
    """NLVR2's JSON lines beside its pictures; classes false and true.

    The pictures of ``dev-850-0-0`` are ``dev-850-0-img0.png``, on the left, and ``dev-850-0-img1.png``, as the
    authors name them. Suhr et al. 2019, arXiv 1811.00491.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, PathLike()],
        images: Annotated[str, PathLike()],
        folders: bool = False,
    ) -> None:
        """Reads the statements; pictures are read when they are asked for.

        Args:
            path: Such as ``dev.json``.
            images: The folder of the pictures.
            folders: Whether pictures lie in a folder for each ``directory`` of the statements, as in the training set.
        """
        self.classes, self.images = list(TRUTH), images
        rows = [_row(row, at, folders=folders) for at, row in lines_of(path)]
        if not rows:
            raise DataError(f"{path} holds no statement")
        self._rows = Rows(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        first, second = (read(name, root=self.images) for name in (row.image, row.second))
        return Sample(first, (row.text,), row.label, row.image.replace("-img0.png", ""), second=second)

    def texts(self, index: int) -> tuple[str, ...]:
        return (self._rows.text(index),)

    def labels(self) -> NDArray[np.integer]:
        return self._rows.labels


def _row(row: dict[str, object], at: str, *, folders: bool) -> Row:
    name, _, number = field_of(row, at, "identifier").rpartition("-")
    if not name or not number.isdigit():
        raise DataError(
            f"{at}: the identifier {row['identifier']!r} is not SPLIT-SET-PAIR-SENTENCE, such as dev-850-0-0"
        )
    name = f"{field_of(row, at, 'directory')}/{name}" if folders else name
    return Row(f"{name}-img0.png", field_of(row, at, "sentence"), truth_of(row, at), f"{name}-img1.png")
