"""open_clip beside a build of torch that torchvision does not fit: its own model and loss.

The package's ``__init__`` imports torchvision and the transformers library for parts that are not measured here. The
modules wanted are therefore imported under a bare package, with names in the place of what they never call.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

_ABSENT = {
    "torchvision": (),
    "torchvision.ops": (),
    "torchvision.ops.misc": ("FrozenBatchNorm2d",),
    "open_clip.hf_model": ("HFTextEncoder",),
}


@cache
def folder() -> Path:
    """Where open_clip is installed.

    Raises:
        SystemExit: It is not.
    """
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise SystemExit("the peer is missing: pip install --no-deps open_clip_torch")
    return Path(spec.origin).parent


@cache
def part(name: str) -> Any:
    """The module ``open_clip.NAME``: ``model`` or ``loss``.

    Raises:
        SystemExit: open_clip is not installed.
    """
    if "open_clip" not in sys.modules:
        package = ModuleType("open_clip")
        package.__path__ = [str(folder())]
        sys.modules["open_clip"] = package
    absent = [module for module in _ABSENT if module not in sys.modules]
    for module in absent:
        sys.modules[module] = ModuleType(module)
        for attribute in _ABSENT[module]:
            setattr(sys.modules[module], attribute, type(attribute, (nn.Module,), {}))
    try:
        return importlib.import_module(f"open_clip.{name}")
    finally:
        for module in absent:
            del sys.modules[module]
