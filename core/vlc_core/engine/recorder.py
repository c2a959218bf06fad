"""What a run leaves behind: metrics, evaluations, checkpoints, the model, and how it ended."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlc_core import distributed, folders
from vlc_core.batch import Skipped
from vlc_core.engine import checkpoint as checkpoints
from vlc_core.engine import ranks, zero
from vlc_core.engine.checkpoint import Checkpoint, Progress
from vlc_core.engine.environment import Environment
from vlc_core.engine.evaluate import evaluate_engine
from vlc_core.engine.folder import RunFolder
from vlc_core.engine.lines import Lines, cut_after
from vlc_core.engine.metrics import Read
from vlc_core.engine.run import Outcome, Run
from vlc_core.engine.watchdog import show_stacks
from vlc_core.errors import RankLost, StorageError, VlcError
from vlc_core.interfaces.evaluator import Evaluation, Evaluator
from vlc_core.model.folder import model_files, settled
from vlc_core.model.learned import learned_files
from vlc_core.pretrainer import Pretrainer
from vlc_core.tokenizer import Tokenizer

if TYPE_CHECKING:
    from vlc_core.plugins import Plugins
    from vlc_core.recipe import LoadedRecipe

log = logging.getLogger("vlc")

FAILED_SAVES = 3
"""Checkpoints in a row that may fail to be written; one more ends the run."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What is being trained, and what measures it."""

    engine: Any
    model: Pretrainer
    tokenizer: Tokenizer
    evaluators: Mapping[str, Evaluator]


class Recorder:
    """Listens to the loop. Every rank has one, because evaluations and checkpoints are made together; rank 0 writes.

    Args:
        loaded: The recipe, to be written into the folder.
        plugins: Their run events are called.
        folder: The run folder.
        run: What the run events see.
        trained: The model and its evaluators.
    """

    def __init__(self, loaded: LoadedRecipe, plugins: Plugins, folder: RunFolder, run: Run, trained: Trained) -> None:
        self._loaded = loaded
        self._plugins = plugins
        self._folder = folder
        self._run = run
        self._trained = trained
        self._writes = distributed.rank() == 0
        self._metrics: dict[str, float] = {}
        self._evaluations: dict[str, Evaluation] = {}
        self._progress = Progress(step=run.first_step)
        self._seconds = 0.0
        self._said_truncated = False
        self._failed_saves = 0
        self._files: dict[Path, Lines] = {}

    @contextmanager
    def recording(self, environment: Environment) -> Iterator[None]:
        """Opens the run folder, with what it runs with in it; writes how the run ended where it ends with an error.

        A run that fails before its first step takes its new folder away again.
        """
        fresh = not self._folder.recipe.exists()
        if self._writes:
            self._open(environment)
        try:
            yield
        except BaseException as error:
            self._fail(error, fresh)
            raise
        finally:
            self._close_files()

    def step(self, read: Read) -> None:
        """Writes the metrics of a step."""
        if read.wrong:
            self._list_skipped_step(read)
        else:
            self._metrics = read.metrics
        self._run.step = read.step
        self._seconds += self._loaded.recipe.train.batch_size / read.metrics["samples_per_second"]
        if self._writes:
            self._append(self._folder.metrics, read.metrics)
            self._tell("vlc_step_end", metrics=read.metrics)
        if read.flags.truncated and not self._said_truncated:
            self._said_truncated = True
            context = self._trained.model.towers.text.encoder.context
            self._warn(f"texts longer than model.text.context ({context} tokens) are cut there; exit.json counts them")

    def skipped(self, samples: Sequence[Skipped]) -> None:
        """Lists samples that could not be used."""
        if samples:
            self._append(self._folder.skipped, *(one._asdict() for one in samples))

    def evaluate(self, progress: Progress) -> None:
        """Runs the recipe's evaluators."""
        trained = self._trained
        results = evaluate_engine(trained.engine, trained.model, trained.tokenizer, trained.evaluators)
        self._evaluations |= results
        if self._writes:
            for name, evaluation in results.items():
                self._folder.write_evaluation(name, evaluation, step=progress.step)
                self._tell("vlc_evaluated", name=name, evaluation=evaluation)

    def checkpoint(self, progress: Progress, *, last: bool) -> None:
        """Saves all that is needed to go on, and the model for use.

        One that cannot be written leaves those before it, and training goes on: there may be room for the next.

        Raises:
            StorageError: It is the last, or the latest of too many in a row.
        """
        engine = self._trained.engine
        self._progress = progress
        weights, moments = zero.state(engine.module), zero.moments(engine)
        ranks.on_first(partial(self._save, Checkpoint(weights, moments, progress), last=last))

    def _save(self, checkpoint: Checkpoint, *, last: bool) -> None:
        try:
            self._write(checkpoint)
            self._failed_saves = 0
        except StorageError as error:
            self._failed_saves += 1
            if last or self._failed_saves > FAILED_SAVES:
                raise
            self._warn(f"{error}; training goes on, {FAILED_SAVES + 1 - self._failed_saves} more of these end it")

    def _write(self, checkpoint: Checkpoint) -> None:
        weights = checkpoint.weights
        towers = {name.removeprefix("towers."): x for name, x in weights.items() if name.startswith("towers.")}
        with tempfile.TemporaryDirectory() as scratch:
            section = settled(self._loaded.recipe.model, self._trained.model.towers)
            files = model_files(section, towers, self._trained.tokenizer, Path(scratch))
        learned = {name.removeprefix("objectives."): x for name, x in weights.items() if name.startswith("objectives.")}
        files |= learned_files(self._loaded.recipe.objectives, dict(self._trained.model.objectives.items()), learned)
        # Before the checkpoint, because a run that goes on from it takes its tokenizer from here.
        folders.write_folder(self._folder.model, files)
        keep = self._loaded.recipe.checkpoint.keep
        path = checkpoints.save_checkpoint(self._folder.checkpoints, checkpoint, keep=keep)
        self._tell("vlc_checkpoint_saved", path=path)

    def stuck(self) -> None:
        """Shows where a rank stands that takes no step any more; one of several ends, so that the others do."""
        rank, seconds = distributed.rank(), self._loaded.recipe.train.timeout
        show_stacks(f"rank {rank} has taken no step for {seconds:,.0f} s (train.timeout); its threads stand here:")
        if distributed.world() > 1:
            # Not an exception: the main thread would not hear of it.
            self._fail(RankLost(f"no step for {seconds:,.0f} s: the ranks' stacks say where each was"), fresh=False)
            os._exit(RankLost.exit_code)

    def end(self, finished: bool, stopped_by: int | None) -> Outcome:
        """The outcome of a run that ended as it should."""
        if finished:
            outcome = self._outcome("finished", "all steps taken", 0)
        else:
            number = signal.SIGTERM if stopped_by is None else stopped_by
            reason = f"stopped by {signal.Signals(number).name} after saving; go on with --resume"
            outcome = self._outcome("interrupted", reason, 128 + number)
        self._close(outcome)
        return outcome

    def _open(self, environment: Environment) -> None:
        self._loaded.write(self._folder.recipe)
        self._folder.write_environment(environment)
        cut_after(self._folder.metrics, step=self._run.first_step)
        self._append(self._folder.metrics)  # nothing yet, but it is there and can be written
        self._tell("vlc_run_start")

    def _list_skipped_step(self, read: Read) -> None:
        """What is needed to take the step again: its samples, and what it was taken with."""
        said = {name: read.metrics[name] for name in ("lr", "logit_scale", "grad_norm")}
        whose = {"step": read.step, "rank": distributed.rank(), "not_finite": read.wrong}
        self._append(self._folder.skipped_steps, {**whose, **said, "samples": read.keys})

    def _append(self, path: Path, *records: Mapping[str, Any]) -> None:
        """Adds lines to a file, which is made with the first call; every rank appends to the same one."""
        if path not in self._files:
            self._files[path] = Lines(path)
        self._files[path].write(*records)

    def _close_files(self) -> None:
        for file in self._files.values():
            try:
                file.close()
            except StorageError as error:  # of lines that are held, which nothing else depends on
                log.warning("%s", error)

    def _fail(self, error: BaseException, fresh: bool) -> None:
        if not self._writes:
            return
        code = error.exit_code if isinstance(error, VlcError) else 1
        try:
            self._close(self._outcome("failed", str(error) or type(error).__name__, code))
        except StorageError as second:  # the disk may be full, and the first error is the one to tell
            self._warn(str(second))
        if fresh and self._run.step == 0 and isinstance(error, VlcError):
            self._folder.remove()

    def _close(self, outcome: Outcome) -> None:
        if self._writes:
            self._folder.write_exit(outcome)
            self._tell("vlc_run_end", outcome=outcome)

    def _outcome(self, status: Any, reason: str, code: int) -> Outcome:
        return Outcome(
            status=status,
            reason=reason,
            exit_code=code,
            steps=self._run.step,
            seconds=self._seconds,
            skipped=self._progress.skipped,
            truncated=self._progress.truncated,
            skipped_steps=self._progress.skipped_steps,
            metrics=self._metrics,
            evaluations=self._evaluations,
        )

    def _warn(self, sentence: str) -> None:
        if self._writes:
            log.warning(sentence)

    def _tell(self, hook: str, **arguments: Any) -> None:
        """Calls a run event. Who only watches a run must not be able to end it."""
        for silenced in self._plugins.call(hook, run=self._run, **arguments):
            log.warning("plugin %s is switched off for the rest of the run: %s", silenced.name, silenced.reason)
