"""Paths in a recipe belong to the file that wrote them."""

from __future__ import annotations

import os
from pathlib import Path

from vlc_core.recipe.interpolation import escape


def resolve_path(written: str, expanded: str, folder: Path) -> tuple[str, str]:
    """A path as the resolved recipe writes it, and as it is used.

    URLs and absolute paths stay as they are. A value that begins with a variable is taken against the working
    directory once the variable is known, and stays as written; any other against ``folder``.

    Args:
        written: With its variables.
        expanded: With their values.
        folder: Of the file that wrote it.
    """
    if "://" in expanded or os.path.isabs(expanded):
        return written, expanded
    if written.startswith("${"):
        return written, os.path.abspath(os.path.expanduser(expanded))
    if written.startswith("~"):
        absolute = os.path.expanduser(written)
        return absolute, os.path.expanduser(expanded)
    return os.path.normpath(escape(str(folder)) + "/" + written), os.path.normpath(f"{folder}/{expanded}")
