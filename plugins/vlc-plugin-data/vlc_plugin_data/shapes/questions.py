"""Questions about a scene with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from vlc_plugin_data.shapes.chance import Chance
from vlc_plugin_data.shapes.facts import clear_relations
from vlc_plugin_data.shapes.scene import SHAPES, Kind, Scene
from vlc_plugin_data.shapes.words import NUMBERS, a


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its one right answer.

    Attributes:
        text: The question.
        answer: One or two words.
        about: ``colour``, ``shape``, ``size``, ``number``, ``relation``, ``presence`` or ``box``.
    """

    text: str
    answer: str
    about: str


def questions(scene: Scene) -> tuple[Question, ...]:
    """One question of each sort that the scene allows; yes and no are equally likely."""
    chance = scene.chance("questions")
    asked = [_colour(scene, chance), _shape(scene, chance), _relation(scene, chance), _box(scene)]
    return (
        _size(scene, chance),
        _number(scene, chance),
        _presence(scene, chance),
        *(question for question in asked if question is not None),
    )


def _colour(scene: Scene, chance: Chance) -> Question | None:
    kind = _without_equal(scene, chance, lambda kind: kind.shape)
    return None if kind is None else Question(f"what colour is the {kind.shape}?", kind.colour, "colour")


def _shape(scene: Scene, chance: Chance) -> Question | None:
    kind = _without_equal(scene, chance, lambda kind: kind.colour)
    return None if kind is None else Question(f"what shape is the {kind.colour} thing?", kind.shape, "shape")


def _without_equal(scene: Scene, chance: Chance, named: Callable[[Kind], str]) -> Kind | None:
    """What can be seen once only by what it is called; None where each has its like."""
    count = Counter(named(thing.kind) for thing in scene.visible)
    only = [thing.kind for thing in scene.visible if count[named(thing.kind)] == 1]
    return chance.pick(only) if only else None


def _size(scene: Scene, chance: Chance) -> Question:
    thing = scene.any_size(chance)
    return Question(f"how big is the {thing.kind}?", thing.size, "size")


def _number(scene: Scene, chance: Chance) -> Question:
    shape = chance.pick([chance.pick(scene.visible).kind.shape, chance.pick(SHAPES)])
    count = sum(thing.kind.shape == shape for thing in scene.visible)
    plural = "crosses" if shape == "cross" else f"{shape}s"
    return Question(f"how many {plural} can be seen?", NUMBERS[count], "number")


def _presence(scene: Scene, chance: Chance) -> Question:
    yes = chance.share() < 0.5
    unseen = [kind for kind in scene.kinds if scene.find(kind) is None]
    kind = chance.pick(scene.visible).kind if yes else chance.pick(unseen)
    return Question(f"can {a(kind)} be seen?", "yes" if yes else "no", "presence")


def _relation(scene: Scene, chance: Chance) -> Question | None:
    facts = clear_relations(scene)
    if not facts:
        return None
    fact, yes = chance.pick(facts), chance.share() < 0.5
    relation = fact.relation if yes else fact.relation.opposite
    return Question(f"is the {fact.kind} {relation.value} the {fact.other}?", "yes" if yes else "no", "relation")


def _box(scene: Scene) -> Question | None:
    if scene.box is None:
        return None
    return Question("what is in the box?", "unknown" if scene.box.closed else str(scene.box.content.kind), "box")
