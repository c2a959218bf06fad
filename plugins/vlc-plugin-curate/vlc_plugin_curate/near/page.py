"""Pairs and groups of images beside one another: one page, no script, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlc_core import Dataset
from vlc_plugin_data.inspecting.sheet import Thumbnail, thumbnail
from vlc_plugin_data.pages import template

TEXT = 160
"""Characters of a caption that are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image on the page.

    Attributes:
        picture: Itself; None where it cannot be shown.
        what: What it is to the others beside it.
        where: What it is called.
        note: How far it is from the first.
    """

    picture: Thumbnail | None
    what: str
    where: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of figures.

    Attributes:
        title: Stands above it.
        heads: Of the columns; all but the first stand against their right edge.
        rows: The cells.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says.

    Attributes:
        title: Its head.
        command: Whose page it is.
        facts: Counts by what they count.
        grids: Tables of figures.
        groups: Images that belong together, those of each beside one another.
        left_out: How many more groups there are.
    """

    title: str
    command: str
    facts: Mapping[str, str]
    grids: Sequence[Grid]
    groups: Sequence[Sequence[Shown]]
    left_out: int = 0


def show(dataset: Dataset, row: int, *, what: str, where: str, note: str = "") -> Shown:
    """Row ``row`` of a dataset, with the name of the dataset in ``where`` where that is to be said."""
    try:
        picture = thumbnail(dataset, row)
    except OSError:
        picture = None
    key = f"row {row}" if picture is None else picture.key
    return Shown(picture, what, f"{where} · {key}" if where else key, note)


def as_page(page: Page) -> str:
    """``page`` as HTML."""
    return template(__file__).render(page=page, most=TEXT)
