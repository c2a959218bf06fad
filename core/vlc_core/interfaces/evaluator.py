"""Evaluators: what a model is good for, in numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlc_core.inference import Inference


@dataclass(frozen=True, slots=True)
class Table:
    """A table of results; cells are numbers or short texts.

    Attributes:
        columns: Their names.
        rows: A cell for each column.
        shown: Whether people want to see it at once, beside the metrics.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of an evaluator.

    Attributes:
        metrics: Flat names to numbers; shares are in 0…1.
        tables: Named tables, for reports.
        details: Anything else that explains the numbers: the size of the data, the prompts used. JSON values.
        figures: File names, such as ``map.html`` or ``curve.svg``, to their content. A figure holds all that it
            shows: it loads nothing from elsewhere.
    """

    metrics: dict[str, float]
    tables: dict[str, Table] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)


class Evaluator(ABC):
    """Measures a model on data of its own.

    Keyword-only parameters of ``__init__`` are the recipe's options.
    """

    @abstractmethod
    def evaluate(self, model: Inference) -> Evaluation:
        """Runs on every rank at once: ``model`` shares the encoding among them, and each gets all features.

        Raises:
            DataError: The data lacks what the evaluation needs.
        """
