"""Pages that commands write: one file, nothing fetched, every text escaped, no script unless a page allows its own.

They extend ``base.html``, which stands beside this file: the policy that keeps a browser from fetching anything,
colours for light and dark, and the style of what several pages have: lists, tables, contact sheets.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_core.errors import StorageError

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(module: str, name: str = "page.html") -> Template:
    """The template ``name`` beside a module; it may extend ``base.html``.

    Args:
        module: The module's ``__file__``.
        name: Of the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folders = FileSystemLoader([Path(module).parent, Path(__file__).parent])
    environment = Environment(
        loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def check_file(file: Path | None, option: str = "--html") -> None:
    """Says at once, and not after an hour of reading, that ``file`` cannot be written; None is no file.

    Raises:
        StorageError: Its folder is missing, or it is a folder itself.
    """
    if file is not None and not file.absolute().parent.is_dir():
        raise StorageError(
            f"{option} {file} cannot be written: there is no folder {file.absolute().parent}, make it first"
        )
    if file is not None and file.is_dir():
        raise StorageError(f"{option} {file} is a folder: name the file to write, such as {file / 'page.html'}")


def write_page(file: Path, html: str) -> None:
    """Writes a page.

    Raises:
        StorageError: ``file`` cannot be written.
    """
    try:
        # A name may hold half of a surrogate pair (a file name that is no UTF-8), which no page can.
        file.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror or error}): choose another place") from error
