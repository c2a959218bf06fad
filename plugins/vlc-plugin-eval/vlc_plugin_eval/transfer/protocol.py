"""What all tasks of a measurement have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vlc_core.errors import RecipeError
from vlc_plugin_eval.labelled import Features
from vlc_plugin_eval.transfer.asked import Score

Method = Literal["frozen", "tuned"]
METHODS: tuple[Method, ...] = ("frozen", "tuned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The options of a measurement.

    Attributes:
        methods: Which of the two.
        examples: To learn a task from.
        validation: How many of them settings are chosen on.
        draws: How often they are drawn.
        seed: Of everything.
        holdout: The share of a source that is held out for testing where there is no other one for that.
        score: What settings are chosen by.
        features: What the linear classifier reads, and a head that starts at zero.
        iterations: Of L-BFGS, at most.
        rates: Peak learning rates of the sweep.
        steps: Lengths of the sweep.
        optimizer: Of fine-tuning.
        batch_size: Of fine-tuning.
        head: Where its head starts: at ``zero``, or at the ``text`` embeddings of the class names.
        prompts: Templates for these.
        transform: A recipe's transform for views of the examples; None for none.
    """

    methods: tuple[Method, ...] = METHODS
    examples: int = 1000
    validation: int = 200
    draws: int = 3
    seed: int = 0
    holdout: float = 0.2
    score: Score = "top1"
    features: Features = "summary"
    iterations: int = 1000
    rates: tuple[float, ...] = (0.1, 0.01)
    steps: tuple[int, ...] = (250, 1000)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    batch_size: int = 64
    head: Literal["zero", "text"] = "zero"
    prompts: str | list[str] = "clip80"
    transform: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks what no type says.

        Raises:
            RecipeError: There is nothing to train on beside what validates.
        """
        if self.validation >= self.examples:
            raise RecipeError(
                f"--validation {self.validation} leaves none of --examples {self.examples} to train on: ask for fewer"
            )
