"""A registry of small components."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from vlc_core.registry import Registrar, Registry
from vlc_core.testing.modules import module_at


@pytest.fixture(scope="session")
def parts() -> str:
    """The importable name of the sample components."""
    name = "vlc_sample_parts"
    module_at(Path(__file__).with_name("sample_parts.py"), name)
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


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """Small encoders, objectives and batches."""
    return module_at(Path(__file__).with_name("small_model.py"))


@pytest.fixture(scope="session")
def engines() -> ModuleType:
    """Small models in DeepSpeed's engine."""
    return module_at(Path(__file__).with_name("small_engine.py"))
