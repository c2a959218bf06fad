"""Classification by nearest neighbours: nothing is fitted at all.

Shapes: N samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

import numpy as np
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component
from vlc_plugin_eval.labelled import Features, Labelled, in_classes_of, labelled, left_out
from vlc_plugin_eval.logistic import per_class
from vlc_plugin_eval.neighbours import vote

if TYPE_CHECKING:
    from vlc_core.inference import Inference


@final
class NearestNeighbours(Evaluator):
    """Gives an image the class that its ``k`` nearest labelled images vote for, by cosine.

    With a ``temperature`` τ a neighbour's vote weighs exp(cosine / τ), without one each counts one. Of equal votes
    the first class wins. Without ``train`` the neighbours of an image are all other images of ``data``.

    Metrics: ``top1``; ``mean_per_class``, the accuracies of the classes averaged; ``k``; ``samples``,
    ``train_samples`` and ``classes``. Shares are in 0…1. The details say which votes were taken.

    Source: the weighted vote is Wu et al., Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination, CVPR 2018, section 3.4.

    Args:
        data: Labelled images to measure on.
        train: Labelled images of the same classes that vote; by default the other ones of ``data``.
        k: How many neighbours vote.
        temperature: τ of a vote's weight; null for a plain vote.
        features: ``summary``, what the encoder gives, or ``embed``, its projection to the shared space.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        train: Annotated[Dataset, Component("dataset")] | None = None,
        k: Annotated[int, Field(ge=1)] = 20,
        temperature: Annotated[float, Field(gt=0)] | None = 0.07,
        features: Features = "summary",
    ) -> None:
        self.data, self.train = data, train
        self.k, self.temperature = k, temperature
        self.features: Features = features

    def evaluate(self, model: Inference) -> Evaluation:
        test = labelled(model, self.data, self.features, what="knn (data)")
        bank = test if self.train is None else labelled(model, self.train, self.features, what="knn (train)")
        bank = in_classes_of(bank, test, what="knn")
        voters = len(bank.y) - (bank is test)
        if self.k > voters:
            raise DataError(f"knn asks {self.k} neighbours, and there are {voters}: set k to at most {voters}")
        right = (self._predicted(test, bank) == test.y).numpy()
        rows = per_class(right, test.y, test.classes)
        return Evaluation(
            metrics={
                "top1": float(right.mean()),
                "mean_per_class": float(np.mean([accuracy for _, _, accuracy in rows])),
                "k": float(self.k),
                "samples": float(len(test.y)),
                "train_samples": float(voters),
                "classes": float(len(test.classes)),
            },
            tables={"per_class": Table(("class", "samples", "accuracy"), rows)},
            details={
                "features": self.features,
                "votes": "plain" if self.temperature is None else f"weighted by exp(cosine / {self.temperature:g})",
                "neighbours": "the other samples of data" if self.train is None else "train",
                **left_out(bank, test, what="knn"),
            },
        )

    def _predicted(self, test: Labelled, bank: Labelled) -> Tensor:
        return vote(
            F.normalize(test.x, dim=1),
            F.normalize(bank.x, dim=1),
            bank.y,
            k=self.k,
            temperature=self.temperature,
            classes=max(len(bank.classes), len(test.classes)),
            among_themselves=bank is test,
        )
