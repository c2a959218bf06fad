"""Sentences about drawn scenes as samples of their own: statements, entailment, questions, and two scenes at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from vlc_core import Dataset, Sample
from vlc_plugin_data.shapes.chance import Chance
from vlc_plugin_data.shapes.claims import Statement, entailments, statements
from vlc_plugin_data.shapes.draw import paint
from vlc_plugin_data.shapes.facts import truth
from vlc_plugin_data.shapes.questions import questions
from vlc_plugin_data.shapes.scene import COLOURS, KINDS, SHAPES, Scene, Split, draw_scene
from vlc_plugin_data.shapes.words import NUMBERS

TRUTH = ("false", "true")
LABELS = ("contradicted", "neutral", "entailed")
ANSWERS = ("yes", "no", "unknown", "small", "large", *NUMBERS, *COLOURS, *SHAPES, *map(str, KINDS))


class Said(NamedTuple):
    """A sentence about a scene and its class."""

    text: str
    label: int


class _Sentences(Dataset):
    """Every sentence about every scene, in the order of the scenes."""

    names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        *,
        split: Split = "train",
        scenes: Annotated[int, Field(ge=1)] = 5_000,
        size: Annotated[int, Field(ge=8, le=4096)] = 64,
        seed: int = 0,
        most: Annotated[int, Field(ge=2, le=4)] = 4,
        boxes: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        """Looks at every scene once, to number what is said about them.

        Args:
            split: Of the world, as of ``shapes``.
            scenes: How many; each gives several samples.
            size: The picture's side in pixels.
            seed: Another seed is another world.
            most: Things in a scene, besides a box: from 2 to this many.
            boxes: The share of scenes with a box.
        """
        self.classes = list(self.names)
        self.split, self.scenes, self.size = split, scenes, size
        self.seed, self.most, self.boxes = seed, most, boxes
        labels, counts = [], []
        for index in range(scenes):
            said = list(self.said(self.scene(index)))
            counts.append(len(said))
            labels += [one.label for one in said]
        self._labels = np.array(labels, np.int16)
        self._ends = np.cumsum(counts)

    @abstractmethod
    def said(self, scene: Scene) -> Iterator[Said]:
        """The sentences about ``scene``."""

    def scene(self, number: int) -> Scene:
        """Scene ``number``, 0 ≤ number < scenes."""
        return draw_scene(self.seed, number, split=self.split, most=self.most, boxes=self.boxes)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        number, said = self._find(index)
        key = f"shapes-{self.split}-{self.seed}-{number}"
        return Sample(_painted(self.scene(number), self.size), (said.text,), said.label, key)

    def texts(self, index: int) -> tuple[str, ...]:
        return (self._find(index)[1].text,)

    def labels(self) -> NDArray[np.integer]:
        return self._labels

    def _find(self, index: int) -> tuple[int, Said]:
        number, place = self._place(index)
        return number, list(self.said(self.scene(number)))[place]

    def _place(self, index: int) -> tuple[int, int]:
        """Which scene sample ``index`` is about, and its place among what is said of it."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} samples, numbered from 0, and no sample {index}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - (0 if number == 0 else int(self._ends[number - 1]))


@final
class ShapesStatements(_Sentences):
    """Statements about drawn scenes, true and false ones in pairs that differ in one word; classes false and true."""

    names = TRUTH

    def said(self, scene: Scene) -> Iterator[Said]:
        return (Said(one.text, int(one.true)) for one in statements(scene))

    def statement(self, index: int) -> Statement:
        """What sample ``index`` says, as a fact."""
        number, place = self._place(index)
        return statements(self.scene(number))[place]


@final
class ShapesEntailment(_Sentences):
    """Hypotheses about drawn scenes, which the picture contradicts, leaves open or entails.

    What a closed box holds is open. The three classes are equally frequent with ``boxes: 1``.
    """

    names = LABELS

    def said(self, scene: Scene) -> Iterator[Said]:
        return (Said(one.hypothesis, LABELS.index(one.label)) for one in entailments(scene))


@final
class ShapesQuestions(_Sentences):
    """Questions about drawn scenes; the classes are all answers that there can be."""

    names = ANSWERS

    def said(self, scene: Scene) -> Iterator[Said]:
        return (Said(one.text, ANSWERS.index(one.answer)) for one in questions(scene))


@final
class ShapesTwoImages(Dataset):
    """A statement about two drawn scenes, such as ``left: a red ring is above a blue star``; classes false and true.

    The statement names the side that it speaks of. On the other side is a scene of which the opposite holds, where one
    turns up among 50 (about three times in four), so that looking at the wrong side mostly misleads.
    """

    def __init__(
        self,
        *,
        split: Split = "train",
        scenes: Annotated[int, Field(ge=1)] = 5_000,
        size: Annotated[int, Field(ge=8, le=4096)] = 64,
        seed: int = 0,
    ) -> None:
        """Counts the statements.

        Args:
            split: Of the world, as of ``shapes``.
            scenes: How many; each gives several samples.
            size: The side of each picture in pixels.
            seed: Another seed is another world.
        """
        self.classes = list(TRUTH)
        self._one = ShapesStatements(split=split, scenes=scenes, size=size, seed=seed, boxes=0)

    def __len__(self) -> int:
        return len(self._one)

    def __getitem__(self, index: int) -> Sample:
        sample = self._one[index]
        other = _painted(self._other(index), self._one.size)
        assert isinstance(sample.image, Image.Image)
        images = (sample.image, other) if self._left(index) else (other, sample.image)
        key = f"{sample.key}-{index}"
        return Sample(images[0], self.texts(index), sample.label, key, second=images[1])

    def texts(self, index: int) -> tuple[str, ...]:
        side = "left" if self._left(index) else "right"
        return tuple(f"{side}: {text}" for text in self._one.texts(index))

    def labels(self) -> NDArray[np.integer]:
        return self._one.labels()

    def _left(self, index: int) -> bool:
        return Chance(self._one.seed, self._one.split, index, "side").share() < 0.5

    def _other(self, index: int) -> Scene:
        """A scene in which what the statement says has the other truth, the first of up to 50 that are drawn."""
        one = self._one
        statement = one.statement(index)
        drawn = (one.scene(one.scenes + 50 * index + attempt) for attempt in range(50))
        fallback = one.scene(one.scenes + 50 * index)
        return next((scene for scene in drawn if truth(scene, statement.fact) is not statement.true), fallback)


@lru_cache(maxsize=64)
def _painted(scene: Scene, size: int) -> Image.Image:
    """Consecutive samples show one scene."""
    return paint(scene, size)
