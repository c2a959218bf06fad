"""The training data of a run: datasets with prompt templates, and one label space over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlc_core.batch import UNLABELLED, Sample
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset

CLASS_NAME = ("{}",)


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """A dataset as training reads it.

    Attributes:
        name: Of the source in the recipe; two sources of one name would share image identities.
        dataset: Where samples come from.
        prompts: Templates with ``{}`` that turn a class name into a caption, for samples that have a label
            only.
        label_offset: What is added to its labels in the label space of all sources.
    """

    name: str
    dataset: Dataset
    prompts: tuple[str, ...] = CLASS_NAME
    label_offset: int = 0

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
        if sample.label == UNLABELLED or not self.dataset.classes:
            raise DataError("it has neither a caption nor a label")
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
        return local if local == UNLABELLED else local + self.label_offset


def share_label_space(
    sources: Sequence[TrainingSource],
) -> tuple[tuple[TrainingSource, ...], tuple[str, ...]]:
    """The sources with the classes of each put after those of the one before it, and all class names in
    that order.

    Equal names in two sources stay two classes: whether "crane" is a bird in both is not for the loader to
    guess.
    """
    placed: list[TrainingSource] = []
    names: list[str] = []
    for source in sources:
        placed.append(replace(source, label_offset=len(names)))
        names.extend(source.dataset.classes or ())
    return tuple(placed), tuple(names)
