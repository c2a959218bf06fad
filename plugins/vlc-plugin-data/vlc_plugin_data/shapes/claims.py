"""True and false statements in pairs that differ in one attribute or relation, and entailment.

Words alone do not give the answer away: what is true of one scene is false of another, and both kinds of
statement draw their words from the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from vlc_plugin_data.shapes.chance import Chance
from vlc_plugin_data.shapes.facts import Boxed, Exists, Fact, Related, Sized, clear_relations
from vlc_plugin_data.shapes.scene import COLOURS, SHAPES, Kind, Scene
from vlc_plugin_data.shapes.words import phrasings

Label = Literal["entailed", "contradicted", "neutral"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence about a scene.

    Attributes:
        text: The sentence.
        fact: What it says.
        true: Whether it is so.
    """

    text: str
    fact: Fact
    true: bool


@dataclass(frozen=True, slots=True)
class Entailment:
    """A hypothesis about a scene, and whether the picture entails it, contradicts it, or leaves it open."""

    hypothesis: str
    fact: Fact
    label: Label


class Pair(NamedTuple):
    """A true and a false statement in the same words but for one swap."""

    true: Statement
    false: Statement


def statement_pairs(scene: Scene) -> tuple[Pair, ...]:
    """A pair on each of a relation, a size, what there is, and what an open box holds, where there is one.

    With a closed box, no false statement names a thing that cannot be seen: the box might hold it.
    """
    chance = scene.chance("statements")
    return tuple(_pair(true, false, chance) for true, false in _fact_pairs(scene, chance))


def statements(scene: Scene) -> tuple[Statement, ...]:
    """The statements of all pairs, true and false ones in turn."""
    return tuple(statement for pair in statement_pairs(scene) for statement in pair)


def entailments(scene: Scene) -> tuple[Entailment, ...]:
    """An entailed and a contradicted hypothesis; with a closed box two neutral ones too.

    Neutral is what the box might hold. Where every second scene has a closed box (``boxes`` is 1), the three
    labels are equally frequent.
    """
    chance = scene.chance("entailments")
    pairs = _fact_pairs(scene, chance)
    true = [pair[0] for pair in pairs]
    if scene.hides_something:
        true.append(Exists(chance.pick(scene.visible).kind))
    made = [
        _hypothesis(chance.pick(true), "entailed", chance),
        _hypothesis(chance.pick(pairs)[1], "contradicted", chance),
    ]
    if scene.hides_something:
        unseen = [kind for kind in scene.kinds if scene.find(kind) is None]
        made += [_hypothesis(form(chance.pick(unseen)), "neutral", chance) for form in (Boxed, Exists)]
    return tuple(made)


def _fact_pairs(scene: Scene, chance: Chance) -> list[tuple[Fact, Fact]]:
    thing = scene.any_size(chance)
    opposite = "small" if thing.size == "large" else "large"
    pairs: list[tuple[Fact, Fact]] = [(Sized(thing.kind, thing.size), Sized(thing.kind, opposite))]
    relations = clear_relations(scene)
    if relations:
        pairs.append(_relation_pair(scene, chance.pick(relations), chance))
    if not scene.hides_something:
        kind = chance.pick(scene.visible).kind
        pairs.append((Exists(kind), Exists(chance.pick(_unseen_neighbours(scene, kind)))))
    if scene.box is not None and not scene.box.closed:
        held = scene.box.content.kind
        pairs.append((Boxed(held), Boxed(chance.pick(_neighbours(scene, held)))))
    return pairs


def _relation_pair(scene: Scene, true: Related, chance: Chance) -> tuple[Related, Related]:
    """The relation turned round, or where nothing is hidden one of its things in another colour or shape."""
    swaps = [replace(true, relation=true.relation.opposite)]
    if not scene.hides_something:
        swaps += [
            replace(true, kind=chance.pick(_unseen_neighbours(scene, true.kind))),
            replace(true, other=chance.pick(_unseen_neighbours(scene, true.other))),
        ]
    return true, chance.pick(swaps)


def _neighbours(scene: Scene, kind: Kind) -> list[Kind]:
    """The kinds that differ from ``kind`` in colour or shape, but not both."""
    recoloured = (Kind(colour, kind.shape) for colour in COLOURS if colour != kind.colour)
    reshaped = (Kind(kind.colour, shape) for shape in SHAPES if shape != kind.shape)
    return [other for other in (*recoloured, *reshaped) if other in scene.kinds]


def _unseen_neighbours(scene: Scene, kind: Kind) -> list[Kind]:
    return [other for other in _neighbours(scene, kind) if scene.find(other) is None]


def _pair(true: Fact, false: Fact, chance: Chance) -> Pair:
    wording = chance.between(0, len(phrasings(true)) - 1)
    return Pair(Statement(phrasings(true)[wording], true, True), Statement(phrasings(false)[wording], false, False))


def _hypothesis(fact: Fact, label: Label, chance: Chance) -> Entailment:
    wordings: Sequence[str] = phrasings(fact)
    return Entailment(chance.pick(wordings), fact, label)
