"""Tokenizers of the transformers library by name and by folder: what cannot be had is said, and at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from vlc_core.errors import DataError, RecipeError
from vlc_plugin_encoders.tokenizers.library import TransformersTokenizer

pytest.importorskip("transformers")


def make(**options: Any) -> Any:
    return TransformersTokenizer(**options).make(list)


def test_a_name_without_network_is_refused_in_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(DataError, match="hub cannot be reached and nobody/nothing is not in its cache"):
        make(hub="nobody/nothing")
    assert time.monotonic() - began < 10


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no tokenizer"):
        make(folder=str(tmp_path))


@pytest.mark.parametrize("options", [{}, {"folder": "a", "hub": "b"}])
def test_exactly_one_place_is_named(options: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="one of"):
        make(**options)
