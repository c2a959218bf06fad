"""The model under measurement, and what is asked of it in both ways of transfer.

Shapes: N samples, C classes, W width of the features, D width of the shared space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vlc_core import options
from vlc_core.errors import DataError
from vlc_core.inference import DualEncoder, Inference
from vlc_core.inference.image_set import Share
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.transform import Transform
from vlc_core.model.digest import model_digest
from vlc_core.options.use import Use
from vlc_core.progress import Tracker
from vlc_core.registry import Registry
from vlc_plugin_eval.logistic import Ints
from vlc_plugin_eval.templates import templates_of
from vlc_plugin_eval.transfer.draw import Draw
from vlc_plugin_eval.transfer.journal import Journal
from vlc_plugin_eval.transfer.protocol import Protocol
from vlc_plugin_eval.transfer.task import Task
from vlc_plugin_eval.transfer.tuning import Classifier
from vlc_plugin_eval.zero_shot import class_embeddings

FORMAT = 1
"""Of what is kept; a number of its own for each way to come to a result."""
BLOCK = 256
"""Samples encoded at once."""


@dataclass
class Bench:
    """A finished model with what settings share.

    Attributes:
        model: Under measurement; it is never changed.
        digest: What its files hash to.
        cache: Where its features may be kept; None for nowhere.
        protocol: The options.
        transform: Of the examples in fine-tuning; None for none.
    """

    model: DualEncoder
    digest: str
    cache: Path | None
    protocol: Protocol
    transform: Transform | None

    @classmethod
    def load(cls, run: Path, protocol: Protocol, registry: Registry) -> Bench:
        """The model of a run, on CUDA where there is one.

        Raises:
            StorageError: There is no model at ``run``, or its files do not fit together.
            RecipeError: The transform or the prompts are unknown.
        """
        transform: Transform | None = None
        if protocol.transform is not None:
            spec = Use.model_validate(protocol.transform)
            transform = options.build(registry, "transform", spec, where="--transform")
        if protocol.head == "text":
            templates_of(protocol.prompts)
        model = DualEncoder.load(run, device="cuda" if torch.cuda.is_available() else "cpu")
        cache = run / "evaluations" / "features" if (run / "recipe.yaml").is_file() else None
        return cls(model, model_digest(run), cache, protocol, transform)

    @cached_property
    def inference(self) -> Inference:
        """What the evaluators' parts are given."""
        return Inference.of(self.model, batch_size=BLOCK, digest=self.digest, cache=self.cache)

    def journal(self, file: Path) -> Journal:
        """The settings that are done with this model."""
        common = {
            "format": FORMAT,
            "version": version("vlc-plugin-eval"),
            "torch": torch.__version__,
            "device": self.model.device.type,
            "model": self.digest,
        }
        return Journal(file, common)

    def classifier(self, task: Task) -> Classifier:
        """A fresh copy of the image tower, its head as the protocol has it.

        Raises:
            DataError: The head is to start at texts, and the classes have no names.
        """
        tower, width = self.model.towers.image, self.protocol.features
        if self.protocol.head == "text":
            if not task.named:
                raise DataError(f"{task.name} has no class names for --head text: let the head start at zero")
            heads_CD = class_embeddings(self.inference, task.classes, templates_of(self.protocol.prompts))
            return Classifier(tower, (heads_CD * self.inference.scale).to(self.model.device), "embed")
        inputs = tower.encoder.width if width == "summary" else tower.embed_dim
        return Classifier(tower, torch.zeros(len(task.classes), inputs, device=self.model.device), width)

    def predicted(self, classifier: Classifier, pixels: Tensor) -> Ints:
        """The classes (N,) of what the tower takes."""
        classifier.eval()
        with torch.no_grad():
            parts = [classifier(part.to(self.model.device)).argmax(dim=1).cpu() for part in pixels.split(BLOCK)]
        return torch.cat(parts).numpy()

    def tested(self, classifier: Classifier, test: Dataset) -> tuple[Ints, Ints]:
        """The predicted and the true classes of what can be read of ``test``."""
        predicted, y = [], []
        for pixels, labels in self._blocks(test):
            predicted.append(self.predicted(classifier, pixels))
            y.append(labels)
        return np.concatenate(predicted), np.concatenate(y)

    def _blocks(self, dataset: Dataset) -> Iterator[tuple[Tensor, Ints]]:
        with Tracker("testing") as tracker:
            for start in range(0, len(dataset), BLOCK):
                share = Share(start)
                rows = range(start, min(start + BLOCK, len(dataset)))
                pixels = share.read(dataset, rows, self.model.size, self.model.vector_width)
                if share.labels:
                    yield pixels, np.array(share.labels, dtype=np.int64)
                tracker(rows.stop, len(dataset))


class Drawn(NamedTuple):
    """A draw of a task, and what it is told apart by.

    Attributes:
        task: The task.
        number: Of the draw.
        draw: The examples.
        learnt: What the examples hash to.
        tested: What the test samples hash to.
    """

    task: Task
    number: int
    draw: Draw
    learnt: str
    tested: str

    def validation(self, **setting: Any) -> dict[str, Any]:
        """What a setting is known by that is judged on the validation examples: nothing of the test."""
        learnt = {"learnt": self.learnt, "training": self.draw.training}
        return {**setting, **learnt, "draw": self.number, "on": "validation"}

    def test(self, **setting: Any) -> dict[str, Any]:
        """What a setting is known by that is judged on the test samples."""
        return {**setting, "learnt": self.learnt, "draw": self.number, "on": self.tested}

    def __str__(self) -> str:
        return f"{self.task.name}, draw {self.number}"
