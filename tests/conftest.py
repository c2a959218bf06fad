"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# One thread a process: the suite runs in parallel, and sums come out in the same order on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and captions beside the checkout; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("VLC_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set VLC_TEST_DATA to a folder of test data")
    return folder


@pytest.fixture(autouse=True, scope="module")
def _no_process_group_left() -> Iterator[None]:
    """Leaves the process group that a module's tests have joined: the next module may join one of its own."""
    yield
    if "torch.distributed" in sys.modules:
        from vlc_core.engine import ranks

        ranks.leave()
