"""How right predictions are.

Shapes: N samples.
"""

from __future__ import annotations

import numpy as np

from vlc_plugin_eval.logistic import Ints
from vlc_plugin_eval.transfer.journal import Result


def scores(predicted: Ints, y: Ints) -> Result:
    """``top1``, and ``mean_per_class``: the accuracies of the classes that occur in ``y``, averaged.

    Args:
        predicted: (N,) labels.
        y: (N,) true labels.
    """
    right = predicted == y
    each = [float(right[y == label].mean()) for label in np.unique(y)]
    return {"top1": float(right.mean()), "mean_per_class": float(np.mean(each))}
