"""The agreement of labels with class names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vlc_core.batch import UNLABELLED
from vlc_core.errors import DataError


def check_labels(labels_N: Tensor, classes: Sequence[str]) -> None:
    """Checks that each of the labels (N,) is the index of a class name, or -1 for none.

    Raises:
        DataError: One is neither; the message gives it.
    """
    wrong = labels_N[(labels_N < UNLABELLED) | (labels_N >= len(classes))]
    if wrong.numel() > 0:
        raise DataError(
            f"the data has {len(classes)} class names and a label {int(wrong[0])}: "
            f"labels are 0…{len(classes) - 1}, and -1 where there is none"
        )
