"""Logistic regression on frozen features, by scikit-learn.

Shapes: N samples, W width, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.errors import RecipeError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


class Fitted(NamedTuple):
    """A fitted classifier.

    Attributes:
        predict: (N, W) features to (N,) labels.
        converged: Whether L-BFGS ended before its last iteration.
    """

    predict: Callable[[Floats], Ints]
    converged: bool


def fit(x: Floats, y: Ints, *, strength: float, iterations: int) -> Fitted:
    """Minimises Σ cross-entropy + strength/2 · ‖weights‖², the bias unpunished, by L-BFGS.

    Args:
        x: (N, W) features.
        y: (N,) labels of at least two classes.
        strength: λ, the inverse of scikit-learn's C.
        iterations: At most.

    Raises:
        RecipeError: scikit-learn is not installed.
    """
    linear = sklearn("linear_model")
    model = linear.LogisticRegression(C=1 / strength, max_iter=iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is told by its own count
        model.fit(x, y)
    return Fitted(model.predict, bool(np.max(model.n_iter_) < iterations))


def sklearn(module: str) -> Any:
    """A module of scikit-learn, which takes a second to import and is imported when it is needed.

    Raises:
        RecipeError: It is not installed.
    """
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise RecipeError(
            f"scikit-learn cannot be imported ({error}); install it with: pip install scikit-learn"
        ) from (error)


def sweep(
    score: Callable[[float], float], *, low: float, high: float, step: float, finest: float
) -> dict[float, float]:
    """Looks for the exponent with the best score, on a coarse grid first and then around the best of it.

    The step is halved until it is ``finest``; each time the two neighbours of the best one so far are tried. Of equal
    scores the greatest exponent, the simplest model, counts as best. This is the search of CLIP (Radford et al.,
    2021, appendix A.3): λ = 10^-6, 10^-4, … 10^6, then eight steps a decade around the peak.

    Args:
        score: Of an exponent; called once for each.
        low: The smallest exponent.
        high: The greatest.
        step: Of the coarse grid; a power of two times ``finest``.
        finest: Of the last one.

    Returns:
        Exponents to scores, in the order of exponents.
    """
    found = {float(e): score(float(e)) for e in np.arange(low, high + step / 2, step)}
    while step > finest:
        step /= 2
        best = best_exponent(found)
        for exponent in (best - step, best + step):
            if low <= exponent <= high and exponent not in found:
                found[exponent] = score(exponent)
    return dict(sorted(found.items()))


def best_exponent(scores: dict[float, float]) -> float:
    """The exponent of the highest score; of equal ones the greatest."""
    return max(scores, key=lambda exponent: (scores[exponent], exponent))


def held_out(y: Ints, share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples to validate on: ``share`` of each class, at least one where a class has two, drawn by ``seed``.

    A class of one sample stays in training whole.
    """
    chosen = np.zeros(len(y), dtype=np.bool_)
    generator = np.random.default_rng(seed)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        number = min(len(rows) - 1, max(1, round(share * len(rows))))
        chosen[generator.permutation(rows)[:number]] = True
    return chosen


def per_class(right: NDArray[np.bool_], y: Tensor, classes: Sequence[str]) -> tuple[tuple[str, int, float], ...]:
    """(class, samples, accuracy) of each class that occurs, for a table."""
    labels = y.numpy()
    return tuple(
        (classes[label], int((labels == label).sum()), float(right[labels == label].mean()))
        for label in np.unique(labels)
    )
