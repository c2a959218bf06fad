"""What a scene holds, and how it is drawn from a seed and an index.

Lengths are shares of the picture's side: x grows to the right, y downwards, both in 0…1. Nothing depends on
the resolution that a scene is later painted at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from vlc_plugin_data.shapes.chance import Chance

Split = Literal["train", "test", "all"]
Rectangle = tuple[float, float, float, float]

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "diamond")
BACKGROUNDS = ("white", "cream", "grey")
HALF_SIDE = {"small": 0.10, "large": 0.17}
BOX_HALF_SIDE = 0.17
GAP = 0.03
TRIES = 40


class Kind(NamedTuple):
    """A colour and a shape: what a thing is called. No two things of a scene are of one kind."""

    colour: str
    shape: str

    @property
    def held_out(self) -> bool:
        """Whether the ``train`` split never shows or mentions it.

        One shape of each colour and one colour of each shape: the k-th colour with the (8 - k)-th shape,
        counting from 0 and modulo 8. So every colour and every shape is learnt, in seven combinations out of
        eight.
        """
        return (COLOURS.index(self.colour) + SHAPES.index(self.shape)) % len(SHAPES) == 0

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


KINDS = tuple(Kind(colour, shape) for colour in COLOURS for shape in SHAPES)
SEEN_KINDS = tuple(kind for kind in KINDS if not kind.held_out)
HELD_OUT_KINDS = tuple(kind for kind in KINDS if kind.held_out)


@dataclass(frozen=True, slots=True)
class Thing:
    """A coloured shape.

    Attributes:
        kind: Its colour and shape.
        size: ``small`` or ``large``.
        x: Of its centre.
        y: Of its centre.
    """

    kind: Kind
    size: str
    x: float
    y: float

    @property
    def rectangle(self) -> Rectangle:
        """The smallest upright rectangle around it, x0, y0, x1, y1; the drawing touches all four sides."""
        return _around(self.x, self.y, HALF_SIDE[self.size])


@dataclass(frozen=True, slots=True)
class Box:
    """A wooden box. A closed one hides what it holds; of an open one there is only the frame.

    Attributes:
        x: Of its centre.
        y: Of its centre.
        closed: Whether its content cannot be seen.
        content: A small thing at its centre.
    """

    x: float
    y: float
    closed: bool
    content: Thing

    @property
    def rectangle(self) -> Rectangle:
        """Its outline, x0, y0, x1, y1."""
        return _around(self.x, self.y, BOX_HALF_SIDE)


@dataclass(frozen=True, slots=True)
class Scene:
    """Things on a background, and perhaps a box with another thing in it.

    Attributes:
        seed: Of the world.
        index: Of the scene in it.
        split: Which kinds it may show.
        background: The name of its colour.
        things: The main thing first: it alone is large.
        box: None where there is no box.
    """

    seed: int
    index: int
    split: Split
    background: str
    things: tuple[Thing, ...]
    box: Box | None

    @property
    def main(self) -> Thing:
        """The large thing, which the scene's class is named after."""
        return self.things[0]

    @property
    def visible(self) -> tuple[Thing, ...]:
        """All things that can be seen, the content of an open box last."""
        if self.box is None or self.box.closed:
            return self.things
        return (*self.things, self.box.content)

    @property
    def hides_something(self) -> bool:
        """Whether there is a closed box."""
        return self.box is not None and self.box.closed

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that this split may show and speak of."""
        return SEEN_KINDS if self.split == "train" else KINDS

    def find(self, kind: Kind) -> Thing | None:
        """The visible thing of that kind."""
        return next((thing for thing in self.visible if thing.kind == kind), None)

    def any_size(self, chance: Chance) -> Thing:
        """A visible thing, large or small with equal chances where there are both."""
        others = self.visible[1:]
        return self.main if not others or chance.share() < 0.5 else chance.pick(others)

    def chance(self, purpose: str) -> Chance:
        """Random numbers that belong to this scene and ``purpose`` alone."""
        return Chance(self.seed, self.split, self.index, purpose)


def draw_scene(seed: int, index: int, *, split: Split = "all", most: int = 4, boxes: float = 0.5) -> Scene:
    """The scene of that number: a pure function of its arguments.

    Args:
        seed: Of the world.
        index: Of the scene.
        split: ``train`` has no held-out kind, not even in a closed box; the main thing of ``test`` is always
            of a held-out kind; ``all`` draws from all kinds alike. Each split is a world of its own.
        most: Things in a scene, from 1 (which then is the number in each) to 4; otherwise at least 2.
        boxes: The share of scenes with a box in 0…1; half of the boxes are closed.
    """
    chance = Chance(seed, split, index, "scene")
    boxed = chance.share() < boxes
    closed = chance.share() < 0.5
    count = chance.between(min(2, most), most)
    kinds = _draw_kinds(chance, split, count + boxed)
    halves = [HALF_SIDE["large"]] + [HALF_SIDE["small"]] * (count - 1) + [BOX_HALF_SIDE] * boxed
    places = _place(chance, halves)
    things = tuple(
        Thing(kind, "small" if number else "large", *place)
        for number, (kind, place) in enumerate(zip(kinds[:count], places[:count], strict=True))
    )
    box = Box(*places[-1], closed, Thing(kinds[-1], "small", *places[-1])) if boxed else None
    return Scene(seed, index, split, chance.pick(BACKGROUNDS), things, box)


def _draw_kinds(chance: Chance, split: Split, count: int) -> list[Kind]:
    allowed = SEEN_KINDS if split == "train" else KINDS
    kinds = [chance.pick(HELD_OUT_KINDS if split == "test" else allowed)]
    while len(kinds) < count:
        kind = chance.pick(allowed)
        if kind not in kinds:
            kinds.append(kind)
    return kinds


def _place(chance: Chance, halves: list[float]) -> list[tuple[float, float]]:
    """Centres of squares that lie inside the picture and stay ``GAP`` apart; starts anew when stuck."""
    places: list[tuple[float, float]] = []
    tries = 0
    while len(places) < len(halves):
        half = halves[len(places)]
        reach = half + GAP
        x, y = (reach + (1 - 2 * reach) * chance.share() for _ in range(2))
        free = all(max(abs(x - u), abs(y - v)) >= reach + h for (u, v), h in zip(places, halves, strict=False))
        tries += 1
        if free:
            places.append((x, y))
        elif tries > TRIES:
            places, tries = [], 0
    return places


def _around(x: float, y: float, half: float) -> Rectangle:
    return x - half, y - half, x + half, y + half
