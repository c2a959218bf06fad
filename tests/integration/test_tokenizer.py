"""A tokenizer of its own for a run: trained by the command, named in the recipe, saved with the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize("place", ["pieces", "pieces.json"])
def test_a_run_trains_with_the_tokenizer_that_was_trained_for_it(vlc, tmp_path: Path, tiny, place: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny.replace("{use: word}", f"{{use: file, path: {place}}}"))
    train = vlc(
        "tokenizer", "train", "tiny.yaml", "--kind", "byte-level", "--size", "360", "-o", place, "--json", cwd=tmp_path
    )
    made = json.loads(train.well().out)
    assert made["vocabulary"]["size"] == 360
    assert made["texts"] == 80

    checked = json.loads(vlc("check", "tiny.yaml", "--json", cwd=tmp_path).well().out)
    assert checked["plan"]["vocabulary"] == 360
    assert checked["recipe"]["model"]["tokenizer"] == {"use": "file", "path": str(tmp_path / place)}

    vlc("train", "tiny.yaml", cwd=tmp_path).well()
    written = tmp_path / place / "tokenizer.json" if place == "pieces" else tmp_path / place
    kept = next((tmp_path / "run" / "model").rglob("tokenizer.json"))
    assert json.loads(kept.read_text()) == json.loads(written.read_text())
