"""What tests of the filter share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """The module ``corpora.py``."""
    name = "cleaning_corpora"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("corpora.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes pairs of (url, caption) or with width and height after them."""

    def make(rows: Sequence[tuple[Any, ...]], name: str = "pairs.parquet") -> Path:
        names = ("url", "caption", "width", "height")[: len(rows[0])]
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return make
