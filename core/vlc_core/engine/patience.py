"""How many skipped steps a run bears before it says that it has diverged."""

from __future__ import annotations

import logging

from vlc_core import distributed
from vlc_core.engine.metrics import Read
from vlc_core.errors import Diverged

log = logging.getLogger("vlc")


class Patience:
    """Bears single steps whose loss or gradient is not finite, and tells of each.

    Args:
        most: How many in a row.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._row = 0

    def hear(self, read: Read) -> None:
        """Takes note of a step.

        Raises:
            Diverged: It is one skipped step too many.
        """
        self._row = self._row + 1 if read.wrong else 0
        if self._row > self.most:
            raise Diverged(
                f"{_what(read)}{_before(self.most)}: lower train.optimizer.lr or raise train.schedule.warmup, and go "
                f"on from the last checkpoint with --resume"
            )
        if read.wrong and distributed.rank() == 0:
            log.warning("%s: the step is skipped, its samples are in skipped_steps.jsonl", _what(read))


def _what(read: Read) -> str:
    of = read.metrics
    first = int(of["samples"]) - int(of["samples"]) // read.step
    return (
        f"{' and '.join(read.wrong)} not finite at step {read.step} (samples {first} to {int(of['samples']) - 1} of "
        f"the order, learning rate {of['lr']:.3g}, logit scale {of['logit_scale']:.4g})"
    )


def _before(most: int) -> str:
    return {0: "", 1: ", as in the step before"}.get(most, f", as in the {most} steps before")
