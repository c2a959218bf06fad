"""Few-shot classification: a linear classifier from a handful of images a class, beside zero-shot.

Shapes: N samples, W width, C classes, D shared width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn import functional as F

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component
from vlc_plugin_eval.classification import score
from vlc_plugin_eval.curve import Point, curve
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.labelled import Features, Labelled, in_classes_of, labelled, left_out
from vlc_plugin_eval.logistic import Ints, fit
from vlc_plugin_eval.once import once
from vlc_plugin_eval.templates import templates_of
from vlc_plugin_eval.zero_shot import class_embeddings

if TYPE_CHECKING:
    from vlc_core.inference import Inference

Shots = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]


@final
class FewShot(Evaluator):
    """Fits logistic regression on a few images of each class, several times with other images, and averages.

    A draw takes its images from ``train`` without replacement; the images of fewer shots are among those of more
    shots of the same draw, so that a curve compares like with like. Features are brought to unit length, and the
    strength of the punishment is fixed: a few images leave none to choose it by.

    Metrics, for each number of shots S: ``top1@S``, the mean over the draws, and ``deviation@S``, their standard
    deviation (n - 1; 0 for one draw); ``zero_shot`` where the data has class names; ``samples`` and ``classes``;
    ``shots_to_match_zero_shot``, the fewest shots whose mean reaches zero-shot, where any does. The table ``draws``
    has every draw, the figure ``curve.svg`` the means and deviations with zero-shot on the same axis.

    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, figure 6.

    Args:
        data: Labelled images to measure on.
        train: Labelled images of the same classes to draw from.
        shots: How many images a class.
        draws: How often each is drawn.
        prompts: Of zero-shot: a set of templates, one template or a list of them, each with ``{}`` for the class name.
        features: ``summary``, what the encoder gives, or ``embed``, its projection to the shared space.
        strength: λ of the punishment λ/2 · ‖weights‖² beside the summed cross-entropy.
        iterations: Of L-BFGS, at most.
        seed: Of the draws.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        train: Annotated[Dataset, Component("dataset")],
        shots: Shots | None = None,
        draws: Annotated[int, Field(ge=1)] = 5,
        prompts: Annotated[str | list[str], Component("prompts")] = "clip80",
        features: Features = "summary",
        strength: Annotated[float, Field(gt=0)] = 1.0,
        iterations: Annotated[int, Field(ge=1)] = 1000,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.data, self.train = data, train
        self.shots = sorted(set((1, 2, 4, 8, 16) if shots is None else shots))
        self.draws, self.seed = draws, seed
        self.templates = templates_of(prompts)
        self.features: Features = features
        self.strength, self.iterations = strength, iterations

    def evaluate(self, model: Inference) -> Evaluation:
        train = labelled(model, self.train, self.features, what="few-shot (train)")
        test = labelled(model, self.data, self.features, what="few-shot (data)")
        train = in_classes_of(train, test, what="few-shot")
        self._check_enough(train)
        accuracies = once(lambda: self._accuracies(train, test))
        zero_shot = self._zero_shot(model) if test.named else None
        points = [_point(shots, accuracies[shots]) for shots in self.shots]
        return Evaluation(
            metrics=_metrics(points, zero_shot) | {"samples": float(len(test.y)), "classes": float(len(test.classes))},
            tables={"draws": _draws(accuracies)},
            details={
                "features": self.features,
                "strength": self.strength,
                "prompts": list(self.templates) if test.named else [],
                **left_out(train, test, what="few-shot"),
            },
            figures={"curve.svg": curve(points, level=zero_shot, level_name="zero-shot", y_name="top-1 accuracy")},
        )

    def _check_enough(self, train: Labelled) -> None:
        labels, counts = train.y.unique(return_counts=True)
        fewest = int(counts.min())
        if fewest < self.shots[-1]:
            name = train.classes[labels[counts.argmin()]]
            raise DataError(
                f"few-shot (train) has {fewest} samples of the class {name!r}, fewer than {self.shots[-1]} shots: "
                f"give more, or ask for `shots` of at most {fewest}"
            )

    def _accuracies(self, train: Labelled, test: Labelled) -> dict[int, list[float]]:
        x, y = F.normalize(train.x, dim=1).numpy(), train.y.numpy()
        test_x, test_y = F.normalize(test.x, dim=1).numpy(), test.y.numpy()
        found: dict[int, list[float]] = {shots: [] for shots in self.shots}
        for draw in range(self.draws):
            order = shuffled(y, seed=self.seed, draw=draw)
            for shots in self.shots:
                rows = np.concatenate([own[:shots] for own in order])
                fitted = fit(x[rows], y[rows], strength=self.strength, iterations=self.iterations)
                found[shots].append(float((fitted.predict(test_x) == test_y).mean()))
        return found

    def _zero_shot(self, model: Inference) -> float:
        test = labelled(model, self.data, "embed", what="few-shot (data)")
        heads = class_embeddings(model, test.classes, self.templates)
        scores = score(unit_rows(test.x, what="image"), heads, test.y)
        return float((scores.predicted == test.y).double().mean())


def shuffled(y: Ints, *, seed: int, draw: int) -> list[NDArray[np.int64]]:
    """The rows of each class in an order of its own, which ``seed`` and ``draw`` decide."""
    generator = np.random.default_rng((seed, draw))
    return [generator.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]


def _point(shots: int, accuracies: list[float]) -> Point:
    values = torch.tensor(accuracies, dtype=torch.float64)
    return Point(shots, float(values.mean()), float(values.std()) if len(accuracies) > 1 else 0.0)


def _metrics(points: list[Point], zero_shot: float | None) -> dict[str, float]:
    metrics = {}
    for point in points:
        metrics[f"top1@{point.x:g}"] = point.mean
        metrics[f"deviation@{point.x:g}"] = point.deviation
    if zero_shot is None:
        return metrics
    metrics["zero_shot"] = zero_shot
    reached = [point.x for point in points if point.mean >= zero_shot]
    return metrics | ({"shots_to_match_zero_shot": float(reached[0])} if reached else {})


def _draws(accuracies: dict[int, list[float]]) -> Table:
    draws = len(next(iter(accuracies.values())))
    rows = tuple((shots, *values) for shots, values in accuracies.items())
    return Table(("shots", *(f"draw {number}" for number in range(draws))), rows)
