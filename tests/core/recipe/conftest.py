"""Recipes that use the small components."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vlc_core.recipe import LoadedRecipe, load_recipe
from vlc_core.registry import Registry

MINIMAL = Path(__file__).with_name("minimal.yaml").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Load = Callable[..., LoadedRecipe]


@pytest.fixture
def load(here: Path, registry: Registry) -> Load:
    """Writes a text to ``recipe.yaml`` and loads it with the given ``--set`` arguments."""

    def load(text: str = MINIMAL, *sets: str, components: bool = True) -> LoadedRecipe:
        (here / "recipe.yaml").write_text(text, encoding="utf-8")
        return load_recipe("recipe.yaml", sets=sets, registry=registry, components=components)

    return load
