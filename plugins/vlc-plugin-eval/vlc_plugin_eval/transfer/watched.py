"""Encoding with a bar."""

from __future__ import annotations

from typing import final

from vlc_core.batch import Sample
from vlc_core.inference import ImageSet, Inference
from vlc_core.interfaces.dataset import Dataset
from vlc_core.progress import Tracker
from vlc_plugin_eval.feature_cache import image_features


def encoded(model: Inference, dataset: Dataset, what: str) -> ImageSet:
    """:func:`image_features` of ``dataset``; where it is long, a bar says how far it is.

    Args:
        model: Encodes.
        dataset: What to encode.
        what: What messages call it.
    """
    with Tracker(f"encoding {what}") as tracker:
        return image_features(model, _Watched(dataset=dataset, tracker=tracker))


@final
class _Watched(Dataset):
    """A dataset that tells how much of it is read for the second time: the first is for its hash, and quick."""

    def __init__(self, *, dataset: Dataset, tracker: Tracker) -> None:
        self.dataset, self.tracker, self.reads = dataset, tracker, 0
        self.classes, self.vector_width = dataset.classes, dataset.vector_width

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        if self.reads > len(self):
            self.tracker(self.reads - len(self), len(self))
        return self.dataset[index]
