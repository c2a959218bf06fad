"""What can be said about a scene: each fact is true, false, or cannot be told from the picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import final

from vlc_plugin_data.shapes.scene import Kind, Scene, Thing

CLEAR = 0.12
"""Shares of the picture's side."""


class Relation(Enum):
    """Where the centre of one thing lies from that of another."""

    LEFT = "to the left of"
    RIGHT = "to the right of"
    ABOVE = "above"
    BELOW = "below"

    @property
    def opposite(self) -> Relation:
        """The relation that holds when the two things change places."""
        return _OPPOSITES[self]

    def distance(self, a: Thing, b: Thing) -> float:
        """How far ``a`` lies from ``b`` in this direction, in shares of the side; negative the other way."""
        return {
            Relation.LEFT: b.x - a.x,
            Relation.RIGHT: a.x - b.x,
            Relation.ABOVE: b.y - a.y,
            Relation.BELOW: a.y - b.y,
        }[self]


_OPPOSITES = {
    Relation.LEFT: Relation.RIGHT,
    Relation.RIGHT: Relation.LEFT,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}


@final
@dataclass(frozen=True, slots=True)
class Exists:
    """There is a thing of this kind, in sight or not."""

    kind: Kind


@final
@dataclass(frozen=True, slots=True)
class Sized:
    """The thing of this kind has this size."""

    kind: Kind
    size: str


@final
@dataclass(frozen=True, slots=True)
class Related:
    """The thing of one kind stands in a relation to that of another."""

    kind: Kind
    relation: Relation
    other: Kind


@final
@dataclass(frozen=True, slots=True)
class Boxed:
    """There is a box, and it holds a thing of this kind."""

    kind: Kind


Fact = Exists | Sized | Related | Boxed


def truth(scene: Scene, fact: Fact) -> bool | None:
    """Whether the picture shows ``fact`` to be true or false; None where a closed box leaves it open."""
    match fact:
        case Boxed(kind):
            return _boxed(scene, kind)
        case Related(kind, relation, other):
            a, b = scene.find(kind), scene.find(other)
            return _unseen(scene) if a is None or b is None else relation.distance(a, b) > 0
        case Sized(kind, size):
            thing = scene.find(kind)
            return _unseen(scene) if thing is None else thing.size == size
        case Exists(kind):
            return _unseen(scene) if scene.find(kind) is None else True


def clear_relations(scene: Scene) -> list[Related]:
    """The relations among visible things that nobody would dispute: the centres are ``CLEAR`` apart."""
    return [
        Related(a.kind, relation, b.kind)
        for a in scene.visible
        for b in scene.visible
        for relation in Relation
        if a is not b and relation.distance(a, b) >= CLEAR
    ]


def _boxed(scene: Scene, kind: Kind) -> bool | None:
    if scene.box is None:
        return False
    return None if scene.box.closed else scene.box.content.kind == kind


def _unseen(scene: Scene) -> bool | None:
    return None if scene.hides_something else False
