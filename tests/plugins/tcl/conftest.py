"""The tiny model that the tests here share, loaded by path as ranks of their own load it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny_tcl() -> ModuleType:
    """The module ``small_tcl.py``."""
    name = "small_tcl"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("small_tcl.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
