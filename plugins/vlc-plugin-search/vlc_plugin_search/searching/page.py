"""What was found as a contact sheet: one page, no script, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vlc_core import Dataset
from vlc_core.errors import VlcError
from vlc_core.loading.decode import decode
from vlc_core.registry import Registry
from vlc_plugin_data.inspecting.sheet import as_uri, thumbnail
from vlc_plugin_data.pages import template
from vlc_plugin_search.embedding.description import Origin
from vlc_plugin_search.searching.query import Kind, Query
from vlc_plugin_search.searching.search import Answer, Hit, Search, read_image
from vlc_plugin_search.searching.seen import Seen

TEXTS = 2
"""Captions that are shown at once; the others unfold."""


@dataclass(frozen=True, slots=True)
class Card:
    """A hit with its picture: a ``data:`` URI, empty where there is none to show."""

    hit: Hit
    picture: str
    small: bool


class Pictures:
    """Reads images of the embedded datasets again, as small pictures."""

    def __init__(self, sources: Sequence[Origin], registry: Registry) -> None:
        self._sources, self._registry = sources, registry
        self._opened: dict[int, Dataset | None] = {}
        self.missing: list[str] = []

    def card(self, hit: Hit) -> Card:
        """``hit`` with its picture."""
        dataset = self._dataset(hit.row.source)
        try:
            shown = None if dataset is None else thumbnail(dataset, hit.row.sample)
        except (OSError, IndexError):
            shown = None
        return Card(hit, "", False) if shown is None else Card(hit, shown.uri, shown.small)

    def _dataset(self, number: int) -> Dataset | None:
        if number not in self._opened:
            try:
                self._opened[number] = self._sources[number].spec().open(self._registry)
            except (VlcError, OSError) as error:
                self._opened[number] = None
                self.missing.append(f"the images of {self._sources[number].name} cannot be read here: {error}")
        return self._opened[number]


def as_page(
    answers: Sequence[Answer], search: Search, seen: Sequence[Seen], registry: Registry, unchecked: str = ""
) -> str:
    """The page as HTML.

    Args:
        answers: What was found.
        search: By what.
        seen: What the training captions know of the texts that were asked for.
        registry: Where datasets are found.
        unchecked: Why ``seen`` knows nothing; empty where it was not asked.
    """
    pictures = Pictures(search.description.sources, registry)
    sections: list[dict[str, Any]] = [
        {
            "query": answer.query,
            "picture": _of_query(answer.query, search, pictures),
            "cards": [pictures.card(hit) for hit in answer.hits],
        }
        for answer in answers
    ]
    return template(__file__).render(
        sections=sections,
        seen=seen,
        unchecked=unchecked,
        missing=pictures.missing,
        search=search,
        texts_shown=TEXTS,
    )


def _of_query(query: Query, search: Search, pictures: Pictures) -> str:
    """The picture that a query starts from."""
    if query.kind is Kind.IMAGE:
        return as_uri(decode(read_image(query.value)))
    if query.kind is Kind.LIKE:
        return pictures.card(search.sample_of(query)).picture
    return ""
