"""Datasets of one image and one sentence with a class: statements, and visual entailment."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_plugin_data.paired.rows import Row, Rows, field_of, lines_of
from vlc_plugin_data.stores import read

TRUTH = ("false", "true")
ENTAILMENT = ("contradiction", "neutral", "entailment")


class _Sentences(Dataset):
    """Rows of image, sentence and class."""

    def __init__(self, rows: list[Row], images: str, classes: tuple[str, ...], path: str) -> None:
        if not rows:
            raise DataError(f"{path} holds no sample")
        self.classes, self.images, self._rows = list(classes), images, Rows(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        return Sample(read(row.image, root=self.images), (row.text,), row.label, row.image)

    def texts(self, index: int) -> tuple[str, ...]:
        return (self._rows.text(index),)

    def labels(self) -> NDArray[np.integer]:
        return self._rows.labels


@final
class Statements(_Sentences):
    """Statements about images as JSON lines with ``image``, ``sentence`` and ``label``; classes false and true.

    Labels are JSON's true and false, or these words.
    """

    def __init__(self, *, path: Annotated[str, PathLike()], images: Annotated[str, PathLike()]) -> None:
        """Reads the sentences; images are read when they are asked for.

        Args:
            path: The file of JSON lines.
            images: The folder that ``image`` is within.
        """
        rows = [
            Row(field_of(row, at, "image"), field_of(row, at, "sentence"), truth_of(row, at))
            for at, row in lines_of(path)
        ]
        super().__init__(rows, images, TRUTH, path)


@final
class SnliVe(_Sentences):
    """SNLI-VE's JSON lines: a hypothesis about a photograph of Flickr30K, and whether that entails it.

    Reads ``Flickr30K_ID`` (or ``image``), ``sentence2`` (or ``hypothesis``) and ``gold_label`` (or ``label``). Rows
    without agreement, whose label is ``-``, are left out. Xie et al. 2019, arXiv 1901.06706.
    """

    def __init__(self, *, path: Annotated[str, PathLike()], images: Annotated[str, PathLike()]) -> None:
        """Reads the hypotheses; images are read when they are asked for.

        Args:
            path: Such as ``snli_ve_dev.jsonl``.
            images: The folder of the photographs.
        """
        rows = [row for at, found in lines_of(path) if (row := _hypothesis(found, at)) is not None]
        super().__init__(rows, images, ENTAILMENT, path)


def truth_of(row: dict[str, object], at: str) -> int:
    """The class of a statement: 0 false, 1 true.

    Raises:
        DataError: It is neither. The message names the place.
    """
    label = field_of(row, at, "label").lower()
    if label not in TRUTH:
        raise DataError(f"{at}: the label {label!r} is neither true nor false")
    return TRUTH.index(label)


def _hypothesis(row: dict[str, object], at: str) -> Row | None:
    label = field_of(row, at, "gold_label", "label")
    if label == "-":
        return None
    if label not in ENTAILMENT:
        raise DataError(f"{at}: the label {label!r} is none of {', '.join(ENTAILMENT)}")
    image = field_of(row, at, "Flickr30K_ID", "image")
    image = image if "." in image else f"{image}.jpg"
    return Row(image, field_of(row, at, "sentence2", "hypothesis"), ENTAILMENT.index(label))
