"""What a sweep found."""

from __future__ import annotations

from typing import NamedTuple

from vlc_plugin_eval.transfer.journal import Result
from vlc_plugin_eval.transfer.protocol import Method


class Swept(NamedTuple):
    """A way of transfer on one draw of a task.

    Attributes:
        method: Which way.
        draw: The number of the draw.
        sweep: Names of settings to their scores on the validation examples.
        chosen: The name of the one that was tested.
        test: ``top1`` and ``mean_per_class`` on the test samples, with as many ``samples``.
    """

    method: Method
    draw: int
    sweep: dict[str, float]
    chosen: str
    test: Result
