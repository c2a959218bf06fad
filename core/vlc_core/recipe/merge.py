"""Laying one recipe over another.

Mappings merge key by key. A mapping whose ``use`` names another component replaces the old one. Anything else
replaces what was there, with one exception: a mapping over a list patches the list's items, which go by their
name (``name``, else ``use``) or their index; null removes an item, and a patch with a ``use`` under a new
name adds one.
"""

from __future__ import annotations

from collections.abc import Mapping

from vlc_core.errors import RecipeError
from vlc_core.nearest import did_you_mean
from vlc_core.options.validation import item_names
from vlc_core.recipe.tree import Node


def merge(base: Node, over: Node, path: str = "") -> Node:
    """``over`` laid over ``base``.

    Args:
        base: What was there.
        over: What is laid over it.
        path: Where both stand, for messages.

    Raises:
        RecipeError: A patch of a list names an item that is not there, or one of several of that name.
    """
    if not isinstance(over.value, Mapping):
        return over
    if isinstance(base.value, tuple):
        return _patch_list(base, over, path)
    if not isinstance(base.value, Mapping) or _replaces(base, over):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        below = f"{path}.{key}" if path else key
        merged[key] = merge(merged[key], child, below) if key in merged else child
    return Node(merged, over.mark)


def _replaces(base: Node, over: Node) -> bool:
    """Whether ``over`` names another component than ``base``; ``clip`` and ``clip/clip`` are the same."""
    old, new = base.get("use"), over.get("use")
    if old is None or new is None or old.value == new.value:
        return False
    if not (isinstance(old.value, str) and isinstance(new.value, str)):
        return True
    one_is_short = "/" not in old.value or "/" not in new.value
    return not (one_is_short and old.value.rpartition("/")[2] == new.value.rpartition("/")[2])


def _patch_list(base: Node, over: Node, path: str) -> Node:
    assert isinstance(base.value, tuple)
    assert isinstance(over.value, Mapping)
    items: list[Node | None] = list(base.value)
    names = item_names([item.plain() for item in base.value])
    added: list[Node] = []
    for key, patch in over.value.items():
        index = _index(key, names, patch, path)
        if index is None:
            added.append(_named(patch, key))
        elif patch.value is None:
            items[index] = None
        else:
            old = base.value[index]
            merged = merge(old, patch, f"{path}.{key}")
            items[index] = _named(merged, key) if names[index] == key and _replaces(old, patch) else merged
    return Node((*(item for item in items if item is not None), *added), base.mark)


def _index(key: str, names: list[str | None], patch: Node, path: str) -> int | None:
    """Which item of a list ``key`` means; None where ``patch`` adds one."""
    count = names.count(key)
    if count == 1:
        return names.index(key)
    if count > 1:
        raise RecipeError(
            f"{patch.mark}: {path}.{key}: {count} items go by that name; use an index, 0 to {len(names) - 1}"
        )
    if key.isascii() and key.isdigit() and int(key) < len(names):
        return int(key)
    if patch.get("use") is not None:
        return None
    known = [name for name in names if name is not None]
    listed = f"it has {', '.join(known)}" if known else f"it has {len(names)} items without names"
    raise RecipeError(
        f"{patch.mark}: {path}.{key}: {path} has no item {key!r}{did_you_mean(key, known) or ';'} {listed}"
    )


def _named(item: Node, key: str) -> Node:
    """The item with ``key`` for its name, unless that follows from its component already."""
    if item_names([item.plain()]) == [key] or not isinstance(item.value, Mapping) or item.get("name") is not None:
        return item
    return Node({**item.value, "name": Node(key, item.mark)}, item.mark)
