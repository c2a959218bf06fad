"""The float64 references, as a fixture: test modules are not importable by name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from vlc_core.testing.modules import module_at


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    return module_at(Path(__file__).with_name("naive.py"))
