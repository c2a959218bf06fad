from __future__ import annotations

from pathlib import Path

import pytest

from vlc_core.errors import StorageError
from vlc_core.model.digest import model_digest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"12")
    return tmp_path


def test_a_run_and_its_model_folder_are_the_same_model(run: Path) -> None:
    assert model_digest(run) == model_digest(run / "model")
    assert len(model_digest(run)) == 64


def test_every_byte_and_name_counts_and_the_manifest_does_not(run: Path) -> None:
    seen = {model_digest(run)}
    (run / "model" / "manifest.json").write_text("{}")
    assert model_digest(run) in seen
    (run / "model" / "weights.safetensors").write_bytes(b"13")
    seen.add(model_digest(run))
    (run / "model" / "model.json").write_text("[]")
    seen.add(model_digest(run))
    (run / "model" / "model.json").rename(run / "model" / "tokenizer.json")
    (run / "model" / "model.json").write_text("[]")
    seen.add(model_digest(run))
    assert len(seen) == 4


def test_without_a_model_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="give a run folder"):
        model_digest(tmp_path)
