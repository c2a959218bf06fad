"""From the events of a YAML parser to a tree, within limits.

A tag cannot reach a constructor as there is none, the nesting is bounded before anything recurses, and an
alias is priced by the size of what it stands for, not walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from yaml import events

from vlc_core.errors import RecipeError
from vlc_core.recipe.scalars import resolve
from vlc_core.recipe.tree import Mark, Node

MAX_NODES = 100_000
MAX_DEPTH = 64


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    mark: Mark
    anchor: str | None
    mapping: dict[str, Node] | None = None
    items: list[Node] = field(default_factory=list)
    key: tuple[str, Mark] | None = None
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class _Anchored:
    """A finished node that aliases may stand for, with what it costs to walk it."""

    node: Node
    size: int
    depth: int


class TreeBuilder:
    """Builds the tree from the parser's events, on a stack of its own."""

    def __init__(self, mark: Mark) -> None:
        self.document: Node | None = None
        self._mark = mark
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """The next event."""
        mark = self._at(event)
        if isinstance(event, events.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise RecipeError(f"{mark}: a second document begins; a recipe is one")
        elif isinstance(event, events.AliasEvent):
            self._alias(event.anchor, mark)
        elif isinstance(event, events.NodeEvent):
            self._start(event, mark)
        elif isinstance(event, events.CollectionEndEvent):
            self._close()

    def _at(self, event: Any) -> Mark:
        start = event.start_mark
        return replace(self._mark, line=self._mark.line + start.line) if self._mark.line else self._mark

    def _start(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            raise RecipeError(f"{mark}: the tag {event.tag!r}; recipes hold plain values without tags")
        if isinstance(event, events.ScalarEvent):
            self._scalar(event, mark)
            return
        if self._stack and self._stack[-1].mapping is not None and self._stack[-1].key is None:
            raise RecipeError(f"{mark}: a mapping or list as a key; keys are text")
        if len(self._stack) >= MAX_DEPTH:
            raise RecipeError(f"{mark}: nested deeper than {MAX_DEPTH} levels")
        mapping: dict[str, Node] | None = {} if isinstance(event, events.MappingStartEvent) else None
        self._stack.append(_Open(mark, event.anchor, mapping))

    def _scalar(self, event: Any, mark: Mark) -> None:
        top = self._stack[-1] if self._stack else None
        if any("\ud800" <= c <= "\udfff" for c in event.value):
            raise RecipeError(f"{mark}: half of a surrogate pair; write the character itself")
        if top is not None and top.mapping is not None and top.key is None:
            self._key(event, mark, top)
            return
        try:
            value = resolve(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            raise RecipeError(f"{mark}: {error}") from None
        self._finish(Node(value, mark), 1, 1, event.anchor)

    def _key(self, event: Any, mark: Mark, top: _Open) -> None:
        assert top.mapping is not None
        key = event.value
        if event.implicit[0] and _is_null(key):
            raise RecipeError(f"{mark}: a key is missing before ':'")
        if event.implicit[0] and key == "<<":
            raise RecipeError(f"{mark}: '<<' merges are not YAML 1.2; repeat the keys, or use extends")
        if key in top.mapping:
            raise RecipeError(f"{mark}: the key {key!r} stands twice, first at {top.mapping[key].mark}")
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(Node(key, mark), 1, 1)
        top.key = (key, mark)

    def _alias(self, anchor: str, mark: Mark) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.mapping is not None and top.key is None:
            raise RecipeError(f"{mark}: an alias as a key; write the key itself")
        found = self._anchors.get(anchor)
        if found is None:
            inside = any(o.anchor == anchor for o in self._stack)
            raise RecipeError(f"{mark}: *{anchor} {'contains itself' if inside else f'has no &{anchor} before it'}")
        if len(self._stack) + found.depth > MAX_DEPTH:
            raise RecipeError(f"{mark}: nested deeper than {MAX_DEPTH} levels")
        self._finish(found.node, found.size, found.depth, None)

    def _close(self) -> None:
        done = self._stack.pop()
        value = done.mapping if done.mapping is not None else tuple(done.items)
        self._finish(Node(value, done.mark), done.size, done.depth, done.anchor, counted=done.size - 1)

    def _finish(self, node: Node, size: int, depth: int, anchor: str | None, *, counted: int = 0) -> None:
        """Hands a finished node of ``size`` nodes, of which some are ``counted``, to what contains it."""
        self._nodes += size - counted
        if self._nodes > MAX_NODES:
            raise RecipeError(f"{node.mark}: more than {MAX_NODES:,} values once aliases are followed")
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, size, depth)
        if not self._stack:
            self.document = node
            return
        top = self._stack[-1]
        top.size += size
        top.depth = max(top.depth, depth + 1)
        if top.mapping is None:
            top.items.append(node)
        elif top.key is not None:
            key, mark = top.key
            top.mapping[key] = Node(node.value, mark)
            top.key = None


def _is_null(text: str) -> bool:
    """Whether an unquoted scalar is YAML's null."""
    try:
        return resolve(text) is None
    except ValueError:
        return False
