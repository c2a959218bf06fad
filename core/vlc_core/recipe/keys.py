"""Reading and writing plain data by key path."""

from __future__ import annotations

from typing import Any

from vlc_core.options.validation import KeyPath, item_names
from vlc_core.recipe.tree import Mark, Node


def get(data: Any, path: KeyPath) -> Any:
    """What stands at ``path``; None where nothing does."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data):
            data = data[key]
        else:
            return None
    return data


def put(data: Any, path: KeyPath, value: Any) -> None:
    """Writes ``value`` to a ``path`` that exists but for its last key."""
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def overlay(filled: Any, written: Any) -> Any:
    """``written``, with what only ``filled`` has added."""
    if isinstance(filled, dict) and isinstance(written, dict):
        known = {k: overlay(v, written[k]) if k in written else v for k, v in filled.items()}
        return known | {k: v for k, v in written.items() if k not in filled}
    if isinstance(filled, list) and isinstance(written, list) and len(filled) == len(written):
        return [overlay(f, w) for f, w in zip(filled, written, strict=True)]
    return written


def nearest_mark(tree: Node, path: KeyPath) -> Mark:
    """Where the value at ``path`` was written, or the nearest one above it that was."""
    for length in range(len(path), 0, -1):
        node = tree.at(path[:length])
        if node is not None:
            return node.mark
    return tree.mark


def undotted(path: str, data: Any) -> KeyPath:
    """A dotted key path as keys and indices; items of lists go by name or index."""
    keys: list[str | int] = []
    for part in path.split(".") if path else ():
        key: str | int = part
        if isinstance(data, list):
            names = item_names(data)
            key = names.index(part) if part in names else int(part) if part.isdecimal() else part
        keys.append(key)
        data = get(data, (key,))
    return tuple(keys)
