"""Metrics that are read one step late, so that logging never waits for the device."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core import accounting
from vlc_core.accounting import TermName


@dataclass(frozen=True, slots=True)
class Taken:
    """An optimizer step that was taken, its numbers still on the device.

    Attributes:
        step: Counted from one.
        lr: Its learning rate.
        names: Of the terms.
        numbers: One float64 vector: the terms' sums and counts (2·T), the scale, the gradient's norm, and the flags
            of :class:`Flags`.
        keys: The names of this rank's samples.
    """

    step: int
    lr: float
    names: tuple[TermName, ...]
    numbers: Tensor
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flags:
    """What ranks tell each other with every step: each a sum over all ranks.

    Attributes:
        stop: How many were asked to stop.
        skipped: How many samples of the step could not be used.
        truncated: How many texts were cut.
    """

    stop: int = 0
    skipped: int = 0
    truncated: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """The metrics of a step, on the host.

    Attributes:
        step: Counted from one.
        metrics: By name.
        flags: Of all ranks.
        wrong: The names of the metrics that are not finite. Where there is one, the step was skipped.
        keys: The names of this rank's samples.
    """

    step: int
    metrics: dict[str, float]
    flags: Flags
    wrong: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class _Pending(NamedTuple):
    """A step's numbers on their way to the host, and the seconds since the step before it."""

    taken: Taken
    numbers: Tensor
    arrived: torch.cuda.Event | None
    seconds: float


class LateReader:
    """Takes the numbers of a step and gives those of the step before.

    Args:
        batch_size: Of all ranks, for the counts of samples.
        weights: Of the objectives.
    """

    def __init__(self, batch_size: int, weights: dict[str, float]) -> None:
        self.batch_size = batch_size
        self.weights = weights
        self._pending: _Pending | None = None
        self._clock = time.perf_counter()

    def push(self, taken: Taken) -> Iterator[Read]:
        """Starts copying a step's numbers and gives those that have arrived."""
        yield from self.flush()
        host = taken.numbers.to("cpu", non_blocking=True)
        arrived = None
        if taken.numbers.is_cuda:
            arrived = torch.cuda.Event()
            arrived.record()
        now = time.perf_counter()
        self._pending = _Pending(taken, host, arrived, now - self._clock)
        self._clock = now

    def flush(self) -> Iterator[Read]:
        """Gives what is still on its way, waiting for it."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        if pending.arrived is not None:
            pending.arrived.synchronize()
        yield self._read(pending.taken, pending.numbers.tolist(), pending.seconds)

    def restart_clock(self) -> None:
        """Leaves out of the rate what has happened since the last step: an evaluation, a checkpoint."""
        self._clock = time.perf_counter()

    def _read(self, taken: Taken, numbers: list[float], seconds: float) -> Read:
        *terms, scale, norm, stop, skipped, truncated = numbers
        totals = torch.tensor(terms, dtype=torch.float64).view(-1, 2)
        metrics: dict[str, float] = {"step": taken.step, "samples": taken.step * self.batch_size}
        metrics |= accounting.report(taken.names, totals, self.weights)
        metrics |= {"logit_scale": scale, "lr": taken.lr, "grad_norm": norm}
        metrics["samples_per_second"] = self.batch_size / max(seconds, 1e-9)
        wrong = tuple(name for name in metrics if not math.isfinite(metrics[name]))
        return Read(taken.step, metrics, Flags(int(stop), int(skipped), int(truncated)), wrong, taken.keys)
