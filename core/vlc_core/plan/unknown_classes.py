"""Classes that are measured on and are no label of the training data: allowed, and told by ``check`` and ``eval``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluator
from vlc_core.loading.class_names import unknown_among
from vlc_core.model.start import Where
from vlc_core.options.signatures import read_options
from vlc_core.terminal import some


def unknown_classes(evaluators: Mapping[str, Evaluator], trained: Sequence[str], where: Where = str) -> Iterator[str]:
    """One sentence for each evaluator that names classes which no training source has.

    Args:
        evaluators: Those of a recipe by name. One that takes ``prompts`` names the classes of its ``data``,
            unless it says by an empty attribute ``templates`` that it was given none, as `retrieval` of captions is.
        trained: The class names of the training data. Nothing is said where it has none: then all is from captions.
        where: Gives a key of the recipe as messages call it.
    """
    for name, evaluator in evaluators.items():
        data = getattr(evaluator, "data", None)
        takes = {option.name for option in read_options(type(evaluator))}
        names = {"data", "prompts"} <= takes and bool(getattr(evaluator, "templates", True))
        if not trained or not isinstance(data, Dataset) or not names:
            continue
        unknown, classes = unknown_among(data.classes or (), trained), len(data.classes or ())
        if unknown:
            yield (
                f"{where(f'evaluate.with.{name}')}: {len(unknown)} of its {classes} classes are no label of the "
                f"training data: {some(unknown)}; their names are met in captions or not at all"
            )
