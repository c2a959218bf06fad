"""A recipe as it was written: values that know their file and line. Nodes never change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlc_core.options.validation import KeyPath

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value was written.

    Attributes:
        source: The file as shown to people, or the whole ``--set`` argument.
        line: From 1; 0 for what has no lines.
        folder: What relative paths in it are relative to.
    """

    source: str
    line: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a scalar, a mapping or a list of nodes.

    Attributes:
        value: The scalar itself, ``{key: Node}`` or ``(Node, …)``.
        mark: Of its key in a mapping, else of itself.
    """

    value: Scalar | Mapping[str, Node] | tuple[Node, ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        """The child of a mapping under ``key``; None where there is none or this is no mapping."""
        return self.value.get(key) if isinstance(self.value, Mapping) else None

    def at(self, path: KeyPath) -> Node | None:
        """The node at ``path`` below this one; None where there is none."""
        node: Node | None = self
        for key in path:
            if node is None:
                return None
            if isinstance(node.value, tuple):
                node = node.value[key] if isinstance(key, int) and 0 <= key < len(node.value) else None
            else:
                node = node.get(str(key))
        return node

    def put(self, path: KeyPath, new: Node) -> Node:
        """This tree with ``new`` at ``path``; mappings on the way are made where they are missing."""
        if not path:
            return new
        key, rest = path[0], path[1:]
        if isinstance(self.value, tuple):
            assert isinstance(key, int)
            items = list(self.value)
            items[key] = items[key].put(rest, new)
            return Node(tuple(items), self.mark)
        children = dict(self.value) if isinstance(self.value, Mapping) else {}
        old = children.get(str(key), Node({}, new.mark))
        return Node({**children, str(key): old.put(rest, new)}, self.mark)

    def plain(self) -> Any:
        """The bare mappings, lists and scalars."""
        if isinstance(self.value, Mapping):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return [child.plain() for child in self.value]
        return self.value

    def scalars(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Every scalar below, with its key path."""
        if isinstance(self.value, Mapping):
            for key, child in self.value.items():
                yield from child.scalars((*path, key))
        elif isinstance(self.value, tuple):
            for i, child in enumerate(self.value):
                yield from child.scalars((*path, i))
        else:
            yield path, self


def from_plain(value: Any, mark: Mark) -> Node:
    """Plain data as nodes that were all written at ``mark``."""
    if isinstance(value, Mapping):
        return Node({str(key): from_plain(child, mark) for key, child in value.items()}, mark)
    if isinstance(value, (list, tuple)):
        return Node(tuple(from_plain(child, mark) for child in value), mark)
    return Node(value, mark)
