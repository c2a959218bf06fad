"""What the command line says, as thresholds and limits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError
from vlc_plugin_curate.cleaning.engines.duck import Limits
from vlc_plugin_curate.cleaning.options import Filter

OFF = "off"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_LEAST_MEMORY = 500 * 10**6
_BESIDE = 500 * 10**6
"""What a process takes beside DuckDB's tables: Python, libraries, buffers of readers and writers."""


def chosen_by(*, min_count: int, bigrams: bool, **written: str) -> Filter:
    """The thresholds, as they are written on the command line; ``off`` switches a rule off.

    Raises:
        RecipeError: One is no number, or not above nought.
    """
    read: dict[str, Any] = {}
    for name, value in written.items():
        kind = float if name == "max_aspect" else int
        try:
            read[name] = None if value.lower() == OFF else kind(value.replace("_", ""))
        except ValueError:
            read[name] = 0
        if read[name] is not None and not read[name] > 0:
            raise RecipeError(f"--{name.replace('_', '-')} {value}: give a number above 0, or {OFF}")
    if read["min_words"] is not None and read["max_words"] is not None and read["min_words"] > read["max_words"]:
        raise RecipeError(f"--min-words {read['min_words']} is above --max-words {read['max_words']}: no text is left")
    return Filter(min_count=min_count, bigrams=bigrams, **read)


def limits_of(memory: str, threads: int, out: Path) -> Limits:
    """What DuckDB may take so that the process stays within ``memory``.

    Raises:
        RecipeError: ``memory`` is no size, or too little.
    """
    found = _SIZE.fullmatch(memory.strip())
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < _LEAST_MEMORY + _BESIDE:
        raise RecipeError(f"--memory {memory}: give a size of at least 1GB, such as 4GB")
    return Limits(size - _BESIDE, threads or os.cpu_count() or 1, out / ".stages" / "temporary")


def refuse_engine(name: str) -> None:
    """Refuses what is neither DuckDB nor a master as Spark writes it, and a master that does not answer.

    Raises:
        RecipeError: It is neither, or Spark is not installed.
        StorageError: No master answers.
    """
    from vlc_plugin_curate.cleaning.engines.spark import check_master, is_master

    if name == "duckdb":
        return
    if not is_master(name):
        raise RecipeError(f"--engine {name} is no engine: write duckdb, spark://host:7077 or local[4]")
    check_master(name)
