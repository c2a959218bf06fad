"""What a run is, to those who watch it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vlc_core.interfaces.evaluator import Evaluation
    from vlc_core.recipe.schema import Recipe


@dataclass(slots=True)
class Run:
    """A training run under way, as run events see it.

    Attributes:
        recipe: The validated recipe.
        folder: The run folder.
        steps: How many optimizer steps the run takes in all.
        first_step: How many were already taken when it started; above zero after a resume.
        step: How many have been taken by now.
        world: The number of ranks.
        epoch_samples: How many samples make an epoch.
        parameters: How many parameters the model has, by part.
    """

    recipe: Recipe
    folder: Path
    steps: int
    first_step: int
    world: int
    epoch_samples: int
    parameters: dict[str, int]
    step: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: ``finished``, ``interrupted`` (saved, to be resumed) or ``failed``.
        reason: One sentence.
        exit_code: What the command ends with.
        steps: How many steps were taken in all.
        seconds: How long this part of the run trained for, set-up and evaluation excluded.
        skipped: Samples that could not be used, over the whole run.
        truncated: Texts that were cut at the context, over the whole run.
        skipped_steps: Steps that changed nothing because a loss or gradient was not finite, over the whole run.
        metrics: Of the last step that was not skipped.
        evaluations: The last result of each evaluator, by name.
    """

    status: Literal["finished", "interrupted", "failed"]
    reason: str
    exit_code: int
    steps: int
    seconds: float
    skipped: int = 0
    truncated: int = 0
    skipped_steps: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
