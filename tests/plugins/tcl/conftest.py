"""The tiny model that the tests here share, loaded by path as ranks of their own load it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from vlc_core.testing.modules import module_at


@pytest.fixture(scope="session")
def tiny_tcl() -> ModuleType:
    """The module ``small_tcl.py``."""
    return module_at(Path(__file__).with_name("small_tcl.py"))
