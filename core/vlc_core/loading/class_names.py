"""Names of classes: whether there are any to speak of, and what they are compared by."""

from __future__ import annotations

from collections.abc import Iterable

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset

REMEDY = "name the classes by `classes`, in the order of their numbers"


def spelt(name: str) -> str:
    """A name as names are compared: whatever the case and the blanks."""
    return " ".join(name.split()).casefold()


def require_names(dataset: Dataset, *, source: str) -> None:
    """Checks that a prompt has something to say of each label.

    Args:
        dataset: Whose class names are put into prompts; one whose samples have captions needs none.
        source: What messages call it.

    Raises:
        DataError: It has labels, and no names of them.
    """
    labels = dataset.labels() if dataset.classes is None else None
    labelled = labels is not None and bool((labels >= 0).any())
    if (labelled or dataset.numbered) and not any(dataset.texts(0)):
        raise DataError(f"{source} has labels without class names, and prompts need them: {REMEDY}")


def unknown_among(classes: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of ``classes`` that have no like among ``known``."""
    there = {spelt(name) for name in known}
    return [name for name in classes if spelt(name) not in there]
