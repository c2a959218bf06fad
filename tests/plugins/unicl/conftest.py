"""What the tests of UniCL's plugin share."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def step() -> Callable[..., Any]:
    """Makes what an objective sees of a step, out of keyword arguments; ``size`` is its length."""

    class Step(SimpleNamespace):
        def __len__(self) -> int:
            return int(self.size)

        def view(self, index: int) -> Any:
            return self.views[index]

    return Step
