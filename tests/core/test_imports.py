"""Which way imports point, and what is not imported until it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE, CLI, PLUGINS = ROOT / "core", ROOT / "cli", ROOT / "plugins"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every absolute module that a file imports, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""


def offences(files: Iterator[Path], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files
        for line, module in imports(path)
        if module.split(".")[0].startswith(forbidden)
    ]


def test_there_is_something_to_look_at():
    assert len(list(CORE.rglob("*.py"))) > 30
    assert len(list(PLUGINS.rglob("*.py"))) > 10


def test_core_imports_neither_plugins_nor_the_command_line():
    assert offences(CORE.rglob("*.py"), ("vlc_plugin_", "vlc_cli")) == []


def test_the_command_line_imports_no_plugin():
    assert offences(CLI.rglob("*.py"), ("vlc_plugin_",)) == []


def test_plugins_import_neither_the_command_line_nor_the_engine():
    assert offences(PLUGINS.rglob("*.py"), ("vlc_cli", "deepspeed")) == []


def test_deepspeed_stays_in_the_engine():
    engine = CORE / "vlc_core" / "engine"
    files = (p for p in [*CORE.rglob("*.py"), *CLI.rglob("*.py")] if not p.is_relative_to(engine))
    assert offences(files, ("deepspeed",)) == []


def test_torchvision_and_timm_are_never_imported_by_core():
    assert offences(CORE.rglob("*.py"), ("torchvision", "timm", "torchmetrics")) == []


LIGHT = [
    "vlc_core",
    "vlc_core.errors",
    "vlc_core.hookspecs",
    "vlc_core.plugins.discovery",
    "vlc_core.plugins",
    "vlc_core.registry",
    "vlc_core.options",
    "vlc_core.recipe",
]


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in out.stdout.split()}


@pytest.mark.parametrize("modules", [LIGHT], ids=["light"])
def test_no_torch_before_it_is_needed(modules: list[str]):
    loaded = loaded_after(f"import {', '.join(modules)}")
    assert loaded & {"torch", "deepspeed", "numpy", "PIL", "tokenizers"} == set()


def test_listing_plugins_imports_neither_torch_nor_what_only_recipes_need():
    loaded = loaded_after("from vlc_core.plugins import plugins; assert plugins().registry.entries()")
    assert loaded & {"torch", "deepspeed", "numpy", "PIL", "pydantic", "yaml", "sklearn", "pyarrow"} == set()
    assert "vlc_plugin_clip" in loaded


def test_the_shape_of_a_recipe_is_checked_without_torch(tmp_path: Path):
    (tmp_path / "r.yaml").write_text("model: {image: vit, text: text-transformer}\ntrain: {stepz: 1}\n")
    loaded = loaded_after(
        "from vlc_core.plugins import plugins; from vlc_core.recipe import load_recipe\n"
        "from vlc_core.errors import RecipeError\n"
        f"try: load_recipe({str(tmp_path / 'r.yaml')!r}, registry=plugins().registry, components=False)\n"
        "except RecipeError as e: assert 'stepz' in str(e)\n"
        "else: raise AssertionError"
    )
    assert loaded & {"torch", "deepspeed", "numpy"} == set()
