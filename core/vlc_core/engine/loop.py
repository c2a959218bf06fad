"""The training loop: batches in, run events out."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Protocol

import torch

from vlc_core import distributed
from vlc_core.batch import Batch, Skipped
from vlc_core.engine.checkpoint import Progress
from vlc_core.engine.metrics import LateReader, Read, Taken
from vlc_core.engine.patience import Patience
from vlc_core.engine.stepping import Stepper
from vlc_core.engine.watchdog import Watchdog
from vlc_core.errors import DataError


class StopRequest:
    """Whether this process was asked to stop: the first signal finishes the step, the second ends it at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listens to Ctrl-C and to the signal that schedulers send before they end a job."""

        if threading.current_thread() is not threading.main_thread():
            yield self  # signals reach the main thread alone
            return

        def note(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self.signal = number

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many samples may be unusable before the run fails.

    Attributes:
        share: Of the samples that were drawn.
        epoch: Samples in an epoch; the share is granted for one epoch from the start.
    """

    share: float
    epoch: int

    def check(self, skipped: int, drawn: int) -> None:
        """Refuses to go on.

        Raises:
            DataError: More than the share could not be used.
        """
        limit = math.ceil(self.share * max(drawn, self.epoch))
        if skipped > limit:
            raise DataError(
                f"{skipped} samples could not be used, more than the {limit} that data.max_bad allows by now: they are "
                f"listed in skipped.jsonl of the run folder; mend them or raise data.max_bad"
            )


class Events(Protocol):
    """What the loop reports to."""

    def step(self, read: Read) -> None:
        """The metrics of a step have arrived."""

    def skipped(self, samples: Sequence[Skipped]) -> None:
        """Samples of this rank could not be used."""

    def evaluate(self, progress: Progress) -> None:
        """It is time to evaluate."""

    def checkpoint(self, progress: Progress, *, last: bool) -> None:
        """It is time to save; for the last time, where the run ends with it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When what happens.

    Attributes:
        steps: Of the whole run.
        batch_size: Of all ranks.
        rate: Step to learning rate.
        evaluate_every: Steps between evaluations; None for the end only.
        checkpoint_every: Steps between checkpoints; None for the end only.
        tolerance: For samples that cannot be used.
        max_skipped_steps: How many steps in a row may be skipped.
    """

    steps: int
    batch_size: int
    rate: Callable[[int], float]
    evaluate_every: int | None
    checkpoint_every: int | None
    tolerance: Tolerance
    max_skipped_steps: int


class Loop:
    """Runs a plan from where ``progress`` stands.

    Args:
        plan: What to do.
        stepper: Takes a step.
        events: Told what happens, on every rank.
        progress: Where the run stands.
        stop: Whether this rank was asked to stop.
        watchdog: Told of every step.
    """

    def __init__(
        self,
        plan: Plan,
        stepper: Stepper,
        events: Events,
        progress: Progress,
        stop: StopRequest,
        watchdog: Watchdog,
    ) -> None:
        self.plan = plan
        self.stepper = stepper
        self.events = events
        self.progress = progress
        self.stop = stop
        self.watchdog = watchdog
        self._reader = LateReader(plan.batch_size, stepper.model.weights)
        self._patience = Patience(plan.max_skipped_steps)
        self._stopping = False

    def run(self, batches: Iterator[Batch], set_rate: Callable[[float], None]) -> bool:
        """Takes the steps that are left.

        Returns:
            Whether the run is finished; False where it was asked to stop, and saved.

        Raises:
            Diverged: The loss or the gradient was not finite in too many steps in a row; the weights are those before.
            DataError: Too many samples cannot be used.
        """
        while self.progress.step < self.plan.steps and not self._stopping:
            batch = next(batches)
            lr = self.plan.rate(self.progress.step)
            set_rate(lr)
            self._take(batch, lr)
            self.watchdog.fed()
            self._when_due()
        self._settle()
        finished = self.progress.step >= self.plan.steps
        with self.watchdog.away():
            if finished:
                self.events.evaluate(self.progress)
            self.events.checkpoint(self.progress, last=True)
        return finished

    def _take(self, batch: Batch, lr: float) -> None:
        device: torch.device = self.stepper.engine.device
        self.events.skipped(batch.skipped)
        numbers = self.stepper(batch, self.progress.step)
        flags = torch.tensor([bool(self.stop), len(batch.skipped), batch.truncated], dtype=torch.float64)
        # A blocking copy would wait for all that the device has still to do.
        numbers = torch.cat([numbers, distributed.all_sum(flags.to(device, non_blocking=True))])
        self.progress = replace(self.progress, step=self.progress.step + 1)
        names = self.stepper.model.term_names
        self._hear(self._reader.push(Taken(self.progress.step, lr, names, numbers, batch.keys)))

    def _hear(self, arrived: Iterator[Read]) -> None:
        for read in arrived:
            self.progress = replace(
                self.progress,
                skipped=self.progress.skipped + read.flags.skipped,
                truncated=self.progress.truncated + read.flags.truncated,
                skipped_steps=self.progress.skipped_steps + bool(read.wrong),
            )
            self._stopping = self._stopping or read.flags.stop > 0
            self.events.step(read)
            self._patience.hear(read)
            self.plan.tolerance.check(self.progress.skipped, read.step * self.plan.batch_size)

    def _settle(self) -> None:
        """Waits for the metrics of the last step: what is saved knows of every step whether it was skipped."""
        self._hear(self._reader.flush())

    def _when_due(self) -> None:
        step, plan = self.progress.step, self.plan
        if step >= plan.steps:
            return
        evaluate = plan.evaluate_every is not None and step % plan.evaluate_every == 0
        checkpoint = plan.checkpoint_every is not None and step % plan.checkpoint_every == 0
        if not (evaluate or checkpoint):
            return
        self._settle()
        with self.watchdog.away():
            if evaluate:
                self.events.evaluate(self.progress)
            if checkpoint:
                self.events.checkpoint(self.progress, last=False)
        self._reader.restart_clock()
