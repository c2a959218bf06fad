"""The names that users and plugins import, pinned: taking one away breaks them."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vlc_core

PUBLIC = [
    "Batch", "Component", "DataError", "Dataset", "Encoded", "Encoder", "Evaluation", "Evaluator", "FusionEncoder",
    "ImageEncoder", "Measure", "ModelInfo", "Needs", "Objective", "PathLike", "RecipeError", "Sample", "Sampler",
    "Source", "Step", "Table", "Term", "TextEncoder", "Tokenizer", "TokenizerSource", "Transform", "VlcError",
    "Vocabulary", "__version__", "hookimpl",
]  # fmt: skip


def test_public_names_are_pinned():
    assert vlc_core.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_resolves_and_is_documented(name: str):
    value = getattr(vlc_core, name)
    assert name in dir(vlc_core)
    if inspect.isclass(value):
        assert value.__name__ == name
        assert value.__doc__


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(vlc_core.__file__).read_text())
    guarded = next(n for n in tree.body if isinstance(n, ast.If))
    seen = [a.name for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names]
    assert sorted([*seen, "__version__"]) == PUBLIC
    homes = {a.name: n.module for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert homes == {name: f"vlc_core.{home}" for name, home in vlc_core._HOMES.items()}


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'vlc_core' has no attribute 'Enocder'"):
        vlc_core.Enocder  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from vlc_core import Enocder  # type: ignore[attr-defined] # noqa: F401


def test_the_version_is_the_distribution_s():
    from importlib.metadata import version

    assert vlc_core.__version__ == version("vlc-core")


def test_the_hook_marker_costs_no_torch():
    heavy = {"torch", "numpy", "pydantic", "yaml"}
    code = f"import sys; from vlc_core import hookimpl; print(sorted({heavy!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
