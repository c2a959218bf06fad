"""Contrastive vision-language pre-training from one recipe; what plugins and users import stands here.

Names are looked up on first use, so that ``from vlc_core import hookimpl`` imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlc_core.batch import Batch, Sample
    from vlc_core.errors import DataError, RecipeError, VlcError
    from vlc_core.hookspecs import hookimpl
    from vlc_core.interfaces.dataset import Dataset
    from vlc_core.interfaces.encoder import (
        Encoded,
        Encoder,
        FusionEncoder,
        ImageEncoder,
        TextEncoder,
        Vocabulary,
    )
    from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
    from vlc_core.interfaces.objective import Measure, ModelInfo, Needs, Objective, Term
    from vlc_core.interfaces.sampler import Sampler, Source
    from vlc_core.interfaces.tokenizer import TokenizerSource
    from vlc_core.interfaces.transform import Transform
    from vlc_core.options import Component, PathLike
    from vlc_core.step import Step
    from vlc_core.tokenizer import Tokenizer

_HOMES = {
    "Batch": "batch",
    "Component": "options",
    "DataError": "errors",
    "Dataset": "interfaces.dataset",
    "Encoded": "interfaces.encoder",
    "Encoder": "interfaces.encoder",
    "Evaluation": "interfaces.evaluator",
    "Evaluator": "interfaces.evaluator",
    "FusionEncoder": "interfaces.encoder",
    "ImageEncoder": "interfaces.encoder",
    "Measure": "interfaces.objective",
    "ModelInfo": "interfaces.objective",
    "Needs": "interfaces.objective",
    "Objective": "interfaces.objective",
    "PathLike": "options",
    "RecipeError": "errors",
    "Sample": "batch",
    "Sampler": "interfaces.sampler",
    "Source": "interfaces.sampler",
    "Step": "step",
    "Table": "interfaces.evaluator",
    "Term": "interfaces.objective",
    "TextEncoder": "interfaces.encoder",
    "Tokenizer": "tokenizer",
    "TokenizerSource": "interfaces.tokenizer",
    "Transform": "interfaces.transform",
    "VlcError": "errors",
    "Vocabulary": "interfaces.encoder",
    "hookimpl": "hookspecs",
}

__all__ = [
    "Batch",
    "Component",
    "DataError",
    "Dataset",
    "Encoded",
    "Encoder",
    "Evaluation",
    "Evaluator",
    "FusionEncoder",
    "ImageEncoder",
    "Measure",
    "ModelInfo",
    "Needs",
    "Objective",
    "PathLike",
    "RecipeError",
    "Sample",
    "Sampler",
    "Source",
    "Step",
    "Table",
    "Term",
    "TextEncoder",
    "Tokenizer",
    "TokenizerSource",
    "Transform",
    "VlcError",
    "Vocabulary",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("vlc-core")
    except PackageNotFoundError:  # a checkout on the path that was never installed
        return "0.0.0"
