"""What the commands that compare images do with what they found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vlc_plugin_curate.near.page import Page


class Result(Protocol):
    """Something found that has a page."""

    def as_json(self) -> dict[str, Any]:
        """All of it."""

    def page(self, examples: int) -> Page:
        """The page, with so many examples."""


def tell(result: Result, text: Iterable[str], *, html: Path | None, examples: int, json: bool) -> None:
    """Writes the page where one is asked for, and prints JSON or else the text.

    Args:
        result: What was found.
        text: It for the terminal, one block after another; not asked for where JSON is printed.
        html: Where the page is written.
        examples: How many the page shows.
        json: Whether JSON is printed.

    Raises:
        StorageError: The page cannot be written.
    """
    from vlc_core import terminal
    from vlc_plugin_curate.near.page import as_page
    from vlc_plugin_data.pages import write_page

    if html is not None:
        write_page(html, as_page(result.page(examples)))
    if json:
        terminal.say_json(result.as_json())
        return
    for block in text:
        terminal.say(block)
    if html is not None:
        terminal.say(terminal.dim(f"written to {html}"))
