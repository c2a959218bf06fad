"""All tasks, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlc_core.registry import Registry
from vlc_core.terminal import waiting
from vlc_plugin_eval.fingerprint import dataset_fingerprint
from vlc_plugin_eval.transfer.asked import Asked
from vlc_plugin_eval.transfer.bench import Bench, Drawn
from vlc_plugin_eval.transfer.draw import Draw, draw, remarks
from vlc_plugin_eval.transfer.frozen import sweep_frozen
from vlc_plugin_eval.transfer.swept import Swept
from vlc_plugin_eval.transfer.task import Task, open_task
from vlc_plugin_eval.transfer.tuned import sweep_tuned


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out for a task.

    Attributes:
        task: The task.
        swept: For each draw, each way of transfer.
        examples: How many it was learnt from.
        remarks: What is to be known of its draws, in sentences.
    """

    task: Task
    swept: list[Swept] = field(default_factory=list)
    examples: int = 0
    remarks: list[str] = field(default_factory=list)


def measure(bench: Bench, tasks: Sequence[Asked], registry: Registry, journal: Path) -> Iterator[Measured]:
    """Measures every task; what ``journal`` has is not done again.

    Every source is opened before the first task is measured, so that a wrong one is told at once.

    Raises:
        RecipeError: A source refuses its options.
        DataError: A source is missing, has no labels, or too few examples.
        Diverged: The features are not finite, or every setting of a task diverges.
        StorageError: The journal cannot be written.
    """
    protocol = bench.protocol
    opened = [open_task(task, registry, score=protocol.score, holdout=protocol.holdout) for task in tasks]
    kept = bench.journal(journal)
    for task in opened:
        measured = Measured(task)
        remarked: list[str] = []
        examples = 0
        with waiting(f"reading {task.name} …"):
            tested = dataset_fingerprint(task.test)
        for number in range(protocol.draws):
            made = _draw(bench, task, number)
            examples = len(made.y)
            remarked += remarks(task, made, examples=protocol.examples, number=number)
            drawn = Drawn(task, number, made, dataset_fingerprint(made.examples), tested)
            for method in protocol.methods:
                sweep = sweep_frozen if method == "frozen" else sweep_tuned
                measured.swept.append(sweep(bench, drawn, kept))
        yield Measured(task, measured.swept, examples, list(dict.fromkeys(remarked)))


def _draw(bench: Bench, task: Task, number: int) -> Draw:
    protocol = bench.protocol
    return draw(
        task,
        examples=protocol.examples,
        validation=protocol.validation,
        seed=protocol.seed,
        number=number,
        size=bench.model.size,
        width=bench.model.vector_width,
    )
