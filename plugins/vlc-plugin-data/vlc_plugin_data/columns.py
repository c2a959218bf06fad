"""Which columns of a table are read, and what was read of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from vlc_core import DataError
from vlc_core.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a manifest is asked for.

    Attributes:
        image: Paths or encoded images; with ``vector`` what images are called, or None.
        texts: Captions, or lists of them; each column adds to the captions of its row.
        label: Class names or indices.
        where: Rows are kept whose column holds one of the values.
        vector: Precomputed embeddings, in place of images.
        texts_option: What the option is called that names ``texts``, for messages.
        image_given: Whether an option names ``image``; otherwise it is the column that is taken unless one does.
    """

    image: str | None
    texts: tuple[str, ...] = ()
    label: str | None = None
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vector: str | None = None
    texts_option: str = "text"
    image_given: bool = True

    def named(self) -> dict[str, str]:
        """Every column that must be there, with the option that names it."""
        named = {} if self.image is None else {self.image: "image"}
        named |= dict.fromkeys(self.texts, self.texts_option)
        if self.vector is not None:
            named |= {self.vector: "features"}
        if self.label is not None:
            named |= {self.label: "label"}
        return named | dict.fromkeys(self.where, "where")

    def require(self, found: Iterable[str], place: str) -> None:
        """Compares with the columns that were ``found`` in the file.

        Raises:
            DataError: One is missing; the message names the file, the columns found and the nearest of them.
        """
        have = list(found)
        missing = {column: option for column, option in self.named().items() if column not in have}
        if not missing:
            return
        column, option = next(iter(missing.items()))
        named = f"which the option `{option}` names"
        if option == "image" and not self.image_given:
            named = "where images are looked for: name theirs by the option `image`"
        raise DataError(
            f"{place}: there is no column {column!r}, {named}; "
            f"the columns are {', '.join(have)}{did_you_mean(column, have)}"
        )


class Rows(NamedTuple):
    """What was read, a row each, in Arrow's memory.

    Attributes:
        image: Strings (paths) or binary (encoded images); null where no column was asked for.
        captions: Lists of strings, one list for each row.
        label: Dictionary of strings; None where no column was asked for.
        key: Strings, what the image is called where the table holds encoded images and their names.
        vector: Lists of float32; None where no column was asked for.
    """

    image: pa.ChunkedArray
    captions: pa.ChunkedArray | None
    label: pa.ChunkedArray | None
    key: pa.ChunkedArray | None = None
    vector: pa.ChunkedArray | None = None


def keeps(where: dict[str, tuple[str, ...]], values: Sequence[str]) -> bool:
    """Whether a row whose ``where`` columns hold ``values`` is kept."""
    return all(value in wanted for value, wanted in zip(values, where.values(), strict=True))
