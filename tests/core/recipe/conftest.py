"""A registry of small components, and recipes that use them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vlc_core.recipe import LoadedRecipe, load_recipe
from vlc_core.registry import Registrar, Registry

MINIMAL = """\
model:
  image: {use: eye, size: 8}
  text: reader
objectives:
  - use: pull
data:
  train:
    - {use: files, path: images}
train: {steps: 10}
"""


@pytest.fixture(scope="session")
def parts() -> str:
    """The importable name of the sample components."""
    name = "vlc_sample_parts"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "sample_parts.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return name


@pytest.fixture
def registry(parts: str) -> Registry:
    """All sample components under plugin ``sample``, one of them also under plugin ``other``."""
    registry = Registry()
    add = Registrar(registry, "sample")
    add.image_encoder("eye", f"{parts}:Eye")
    add.text_encoder("reader", f"{parts}:Reader")
    add.fusion_encoder("fuse", f"{parts}:Fuse")
    add.tokenizer("words", f"{parts}:Words")
    add.tokenizer("fancy-words", f"{parts}:FancyWords")
    add.objective("pull", f"{parts}:Pull")
    add.objective("push", f"{parts}:Pull")
    add.objective("greedy", f"{parts}:Greedy")
    add.objective("unfinished", f"{parts}:Unfinished")
    add.objective("twice", f"{parts}:Pull")
    Registrar(registry, "other").objective("twice", f"{parts}:Pull")
    add.dataset("files", f"{parts}:Files")
    add.dataset("joined", f"{parts}:Joined")
    add.dataset("unwritable", f"{parts}:Unwritable")
    add.sampler("shuffle", f"{parts}:Shuffle")
    add.transform("clip", f"{parts}:Crop")
    add.evaluator("probe", f"{parts}:Probe")
    add.prompts("photo", ["a photo of {}", "a picture of {}"])
    return registry


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
