"""Captions of a scene, true by construction, with the rectangle of each thing they mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlc_plugin_data.shapes.facts import Related, clear_relations
from vlc_plugin_data.shapes.scene import Box, Rectangle, Scene, Thing
from vlc_plugin_data.shapes.words import a

Part = str | tuple[str, Rectangle]
"""Plain words, or words with the rectangle of what they name."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of a caption that name a thing.

    Attributes:
        text: The words.
        start: Where they begin in the caption, in characters.
        rectangle: What they name, x0, y0, x1, y1 in shares of the picture's side.
    """

    text: str
    start: int
    rectangle: Rectangle


@dataclass(frozen=True, slots=True)
class Caption:
    """A true sentence about a scene, and where the things it names are."""

    text: str
    phrases: tuple[Phrase, ...]


def captions(scene: Scene) -> tuple[Caption, ...]:
    """Different captions, at most five: two that name everything, two of a relation, one of the main."""
    chance = scene.chance("captions")
    mentions: list[list[Part]] = [[_mention(thing, thing.size)] for thing in scene.things]
    if scene.box is not None:
        mentions.append(_mention_box(scene.box))
    backdrop = f" on a {scene.background} background"
    relations = chance.shuffled(clear_relations(scene))[:2]
    made = [
        _compose(*_listed(mentions), backdrop),
        *(_compose(*_related(scene, fact)) for fact in relations[:1]),
        *(_compose("there is ", *_related(scene, fact)) for fact in relations[1:]),
        _compose(_mention(scene.main, scene.main.size), backdrop),
        _compose("a picture of ", *_listed(chance.shuffled(mentions))),
    ]
    return tuple({caption.text: caption for caption in made}.values())


def _compose(*parts: Part) -> Caption:
    text, phrases = "", []
    for part in parts:
        words = part if isinstance(part, str) else part[0]
        if not isinstance(part, str):
            phrases.append(Phrase(words, len(text), part[1]))
        text += words
    return Caption(text, tuple(phrases))


def _mention(thing: Thing, size: str = "") -> Part:
    return a(thing.kind, size), thing.rectangle


def _mention_box(box: Box) -> list[Part]:
    if box.closed:
        return [("a closed box", box.rectangle)]
    return [_mention(box.content), " in ", ("an open box", box.rectangle)]


def _listed(mentions: Sequence[Sequence[Part]]) -> list[Part]:
    """``x``, ``x and y``, or ``x, y and z``."""
    parts: list[Part] = []
    for number, mention in enumerate(mentions):
        if number > 0:
            parts.append(" and " if number == len(mentions) - 1 else ", ")
        parts += mention
    return parts


def _related(scene: Scene, fact: Related) -> tuple[Part, ...]:
    return (
        *(_mention(thing) for thing in scene.visible if thing.kind == fact.kind),
        f" {fact.relation.value} ",
        *(_mention(thing) for thing in scene.visible if thing.kind == fact.other),
    )
