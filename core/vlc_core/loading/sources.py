"""The training data of a run: datasets with prompt templates, and one label space over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vlc_core.batch import UNLABELLED, Sample
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.class_names import REMEDY, spelt

CLASS_NAME = ("{}",)

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """A dataset as training reads it.

    Attributes:
        name: Of the source in the recipe; two sources of one name would share image identities.
        dataset: Where samples come from.
        prompts: Templates with ``{}`` that turn a class name into a caption, for samples that have a label
            only.
        label_map: What each of its labels is in the label space of all sources; itself where there is no more.
    """

    name: str
    dataset: Dataset
    prompts: tuple[str, ...] = CLASS_NAME
    label_map: tuple[int, ...] = ()

    def captions(self, sample: Sample) -> tuple[str, ...]:
        """What may stand for the sample in words: its own captions, or else the name of its class.

        Raises:
            DataError: It has neither. The message is a clause.
        """
        captions = tuple(text for text in sample.texts if text and not text.isspace())
        if captions:
            return captions
        if sample.texts:
            raise DataError("its caption is empty")
        if sample.label == UNLABELLED:
            raise DataError("it has neither a caption nor a label")
        if not self.dataset.classes:
            raise DataError(f"it has the label {sample.label} without a class name, and no caption")
        return (self.dataset.classes[self.local_label(sample)],)

    def local_label(self, sample: Sample) -> int:
        """The sample's label within its own source.

        Raises:
            DataError: It is not -1 and points to no class. The message is a clause.
        """
        count = None if self.dataset.classes is None else len(self.dataset.classes)
        if sample.label < UNLABELLED or (count is not None and sample.label >= count):
            raise DataError(f"its label {sample.label} is none of {count} classes")
        return sample.label

    def label(self, sample: Sample) -> int:
        """The sample's label in the label space of all sources; -1 where it has none."""
        local = self.local_label(sample)
        return local if local == UNLABELLED or not self.label_map else self.label_map[local]

    def labels(self) -> NDArray[np.integer] | None:
        """As :meth:`label`, of all samples, (N,); None where the dataset knows none without reading them."""
        local_N = self.dataset.labels()
        if local_N is None or not self.label_map:
            return local_N
        return np.where(local_N < 0, UNLABELLED, np.array(self.label_map)[local_N.clip(min=0)])

    def answers(self, sample: Sample) -> tuple[tuple[int, float], ...]:
        """The sample's answers in the label space of all sources.

        Raises:
            DataError: One of them points to no class. The message is a clause.
        """
        count = len(self.dataset.classes or ())
        if wrong := [answer for answer, _ in sample.answers if not 0 <= answer < count]:
            raise DataError(f"its answer {wrong[0]} is none of {count} classes")
        return tuple((self.label_map[answer] if self.label_map else answer, score) for answer, score in sample.answers)


def walk_texts(sources: Sequence[TrainingSource]) -> Iterator[Texts]:
    """The texts that training may draw: for each source its class names through its templates, then sample by sample.

    A sample that cannot be read has no texts; it is counted when training draws it.
    """
    for source in sources:
        if names := source.dataset.classes:
            yield tuple(template.replace("{}", name) for name in names for template in source.prompts)
    for source in sources:
        for index in range(len(source.dataset)):
            try:
                yield tuple(source.dataset.texts(index))
            except DataError:
                yield ()


def share_label_space(
    sources: Sequence[TrainingSource], *, merge: bool = False
) -> tuple[tuple[TrainingSource, ...], tuple[str, ...]]:
    """The sources with one label space for all of them, and the class names in its order.

    Args:
        sources: As they were opened.
        merge: Whether a class takes the label of an earlier source's class of the same name, whatever the case and
            the blanks. Names that one source gives to two classes merge with nothing, because it would be a guess
            with which of the two. Without it equal names stay apart: whether "crane" is a bird in both sources is
            not for the loader to guess either.

    Raises:
        DataError: Classes would merge by their numbers, for want of names.
    """
    ambiguous = {name for source in sources for name, count in Counter(_spelt(source)).items() if count > 1}
    if merge:
        _refuse_numbers(sources)
    labels: dict[str, int] = {}
    names: list[str] = []
    placed: list[TrainingSource] = []
    for source in sources:
        label_map: list[int] = []
        for name, compared in zip(source.dataset.classes or (), _spelt(source), strict=True):
            merged = labels.get(compared) if merge and compared not in ambiguous else None
            label_map.append(len(names) if merged is None else merged)
            if merged is None:
                labels[compared] = len(names)
                names.append(name)
        placed.append(replace(source, label_map=tuple(label_map)))
    return tuple(placed), tuple(names)


def _refuse_numbers(sources: Sequence[TrainingSource]) -> None:
    """Equal numbers in two sources would become one class, whatever stands behind them."""
    numbered = [source for source in sources if source.dataset.numbered]
    for source, other in product(numbered, sources):
        both = set(_spelt(source)) & set(_spelt(other))
        if source is not other and both:
            raise DataError(
                f"data.merge_classes: the classes of {source.name!r} have numbers for names, and label {min(both)} of "
                f"{other.name!r} may be another class: {REMEDY}, or leave merge_classes out"
            )


def _spelt(source: TrainingSource) -> list[str]:
    """The names of its classes as they are compared."""
    return [spelt(name) for name in source.dataset.classes or ()]
