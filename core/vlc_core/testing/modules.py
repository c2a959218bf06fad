"""Loads a module by its file: what tests share, where test folders are no packages, and ranks load as well."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import ModuleType


def module_at(path: str | PathLike[str], name: str = "") -> ModuleType:
    """The module that a file is; executed once in a process, however often it is asked for.

    Args:
        path: Of a Python file.
        name: What it is called in ``sys.modules``; its own from its path where this is empty.

    Raises:
        ImportError: The file is no Python.
    """
    file = Path(path).resolve()
    name = name or f"_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} cannot be loaded as a module: is it a .py file?")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
