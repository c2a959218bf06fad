"""A column of class names or numbers to labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlc_core import DataError
from vlc_core.batch import UNLABELLED
from vlc_core.nearest import did_you_mean


class Labels(NamedTuple):
    """Labels of rows.

    Attributes:
        values: (N,) int32, -1 where there is none.
        classes: The names of the classes.
        numbered: Whether these are numbers, for want of names.
    """

    values: NDArray[np.int32]
    classes: list[str]
    numbered: bool


def read_labels(column: pa.ChunkedArray, classes: Sequence[str] | None, place: str) -> Labels:
    """Labels from a dictionary of strings.

    An empty field, a null and -1 mean no label. A column of whole numbers holds indices, unless ``classes``
    has them as names; any other holds names. Without ``classes``, names are sorted, and indices are named
    after themselves.

    Raises:
        DataError: A name that is not in ``classes``, or there twice, or an index beyond them.
    """
    column = column.unify_dictionaries()
    names = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    used = [name for name in names if not _is_none(name)]
    listed, lookup = _lookup(used, classes, place)
    table = np.array([lookup.get(name, UNLABELLED) for name in names] + [UNLABELLED], dtype=np.int32)
    codes = [chunk.indices.fill_null(len(names)).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    numbered = classes is None and bool(used) and all(_index(name) is not None for name in used)
    return Labels(table[np.concatenate(codes)] if codes else table[:0], listed, numbered)


def _lookup(used: list[str], classes: Sequence[str] | None, place: str) -> tuple[list[str], dict[str, int]]:
    """The class names, and the label of each value of the column."""
    if classes is not None and set(used) <= set(classes):
        _refuse_two_meanings(used, classes, place)
        return list(classes), {name: i for i, name in enumerate(classes)}
    indices = {name: _index(name) for name in used}
    if all(index is not None for index in indices.values()):
        return _numbered({name: index for name, index in indices.items() if index is not None}, classes, place)
    if classes is not None:
        unknown = next(name for name in used if name not in classes)
        hint = did_you_mean(unknown, classes) or ": add it"
        raise DataError(f"{place}: the label {unknown!r} is not in `classes`{hint}")
    listed = sorted(set(used))
    return listed, {name: i for i, name in enumerate(listed)}


def agreed(classes: Sequence[str] | None, own: Sequence[str] | None, place: str) -> Sequence[str] | None:
    """The names that were given, or else the data's ``own``.

    Raises:
        DataError: Both are there, and they give a label two names.
    """
    if classes is None or own is None:
        return own if classes is None else classes
    for label, (given, there) in enumerate(zip(classes, own, strict=False)):
        if given != there:
            raise DataError(
                f"{place}: the label {label} is {there!r} in the data and {given!r} in `classes`: leave `classes` "
                f"out, or give them in the data's order"
            )
    return classes if len(classes) > len(own) else own


def _refuse_two_meanings(used: Sequence[str], classes: Sequence[str], place: str) -> None:
    """A name that labels a row must be the name of one class."""
    for name, count in Counter(classes).items():
        if count > 1 and name in used:
            first = classes.index(name)
            raise DataError(
                f"{place}: `classes` has {name!r} as the labels {first} and {classes.index(name, first + 1)}, and rows "
                f"are labelled by that name: give them different names, or label rows by number"
            )


def _numbered(indices: dict[str, int], classes: Sequence[str] | None, place: str) -> tuple[list[str], dict[str, int]]:
    highest = max(indices.values(), default=-1)
    if classes is None:
        return [str(i) for i in range(highest + 1)], indices
    if highest >= len(classes):
        raise DataError(
            f"{place}: the label {highest} points past the {len(classes)} names of `classes`: labels count from 0, "
            f"name {highest + 1} classes"
        )
    return list(classes), indices


def _is_none(name: str | None) -> bool:
    return name is None or not name.strip() or name.strip().lower() in ("-1", "-1.0", "nan", "null", "none")


def _index(name: str) -> int | None:
    """The whole number ≥ 0 that ``name`` spells; tables with gaps write whole numbers as 3.0."""
    try:
        value = float(name)
    except ValueError:
        return None
    return int(value) if value.is_integer() and value >= 0 else None
