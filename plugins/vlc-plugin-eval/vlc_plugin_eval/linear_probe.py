"""The linear probe: how well a linear classifier does on the frozen image encoder's features.

Shapes: N samples, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component
from vlc_plugin_eval.labelled import Features, Labelled, in_classes_of, labelled, left_out
from vlc_plugin_eval.logistic import best_exponent, fit, held_out, per_class, sweep
from vlc_plugin_eval.once import once

if TYPE_CHECKING:
    from vlc_core.inference import Inference

COARSE, FINE = 2.0, 0.125


class Probe(NamedTuple):
    """What probing found.

    Attributes:
        scores: Exponents of the strength to accuracies on the validation split.
        right: (N,) which samples of the test data were classified right.
        converged: Whether the last fit had enough iterations.
        validated: How many samples the sweep was judged on.
    """

    scores: dict[float, float]
    right: NDArray[np.bool_]
    converged: bool
    validated: int


@final
class LinearProbe(Evaluator):
    """Fits logistic regression on the frozen image encoder's features, and measures it on other images.

    The strength λ of the punishment Σ cross-entropy + λ/2 · ‖weights‖² is chosen on a part of ``train`` that is
    held out of each class: 10^-6, 10^-4, … 10^6, then around the best with steps halved to an eighth of a decade.
    The classifier is then fitted anew on all of ``train`` with the chosen one. Samples without a label are left out.

    Metrics: ``top1``; ``mean_per_class``, the accuracies of the classes averaged; ``strength``, the chosen λ;
    ``validation_top1``, the accuracy it was chosen for; ``samples``, ``train_samples`` and ``classes``. Shares are
    in 0…1. Tables: ``sweep`` with every λ that was tried, ``per_class``.

    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021,
    section 3.2 and appendix A.3.

    Args:
        data: Labelled images to measure on.
        train: Labelled images of the same classes to learn from.
        features: ``summary``, what the encoder gives, as in the source; or ``embed``, its projection to the shared
            space, rows of unit length.
        validation: The share of each class of ``train`` that the strength is chosen on.
        iterations: Of L-BFGS, at most.
        seed: Of the validation split.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        train: Annotated[Dataset, Component("dataset")],
        features: Features = "summary",
        validation: Annotated[float, Field(gt=0, lt=1)] = 0.2,
        iterations: Annotated[int, Field(ge=1)] = 1000,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.data, self.train = data, train
        self.features: Features = features
        self.validation, self.iterations, self.seed = validation, iterations, seed

    def evaluate(self, model: Inference) -> Evaluation:
        train = labelled(model, self.train, self.features, what="linear-probe (train)")
        test = labelled(model, self.data, self.features, what="linear-probe (data)")
        train = in_classes_of(train, test, what="linear-probe")
        probe = once(lambda: self._probe(train, test))
        strength = 10 ** best_exponent(probe.scores)
        rows = per_class(probe.right, test.y, test.classes)
        return Evaluation(
            metrics={
                "top1": float(probe.right.mean()),
                "mean_per_class": float(np.mean([accuracy for _, _, accuracy in rows])),
                "strength": strength,
                "validation_top1": max(probe.scores.values()),
                "samples": float(len(test.y)),
                "train_samples": float(len(train.y)),
                "classes": float(len(train.y.unique())),
            },
            tables={
                "sweep": Table(("strength", "validation accuracy"), tuple((10**e, s) for e, s in probe.scores.items())),
                "per_class": Table(("class", "samples", "accuracy"), rows),
            },
            details={
                "features": self.features,
                "validation_samples": probe.validated,
                "converged": probe.converged,
                **left_out(train, test, what="linear-probe"),
            },
        )

    def _probe(self, train: Labelled, test: Labelled) -> Probe:
        x, y = train.x.numpy(), train.y.numpy()
        held = held_out(y, self.validation, self.seed)
        if not held.any():
            raise DataError(
                f"linear-probe (train) has one sample a class ({len(y)} in all), and chooses its strength on samples "
                "that it holds out: give at least two a class, or measure with `few-shot`"
            )

        def score(exponent: float) -> float:
            fitted = fit(x[~held], y[~held], strength=10**exponent, iterations=self.iterations)
            return float((fitted.predict(x[held]) == y[held]).mean())

        scores = sweep(score, low=-6, high=6, step=COARSE, finest=FINE)
        fitted = fit(x, y, strength=10 ** best_exponent(scores), iterations=self.iterations)
        return Probe(scores, fitted.predict(test.x.numpy()) == test.y.numpy(), fitted.converged, int(held.sum()))
