"""The keys beside a component's options are those that no option may be called by."""

from __future__ import annotations

import pytest

from vlc_core.options import RESERVED
from vlc_core.recipe.beside import keys_beside_options


@pytest.mark.parametrize("kind", RESERVED)
def test_they_are_the_reserved_ones_and_all_described(kind: str) -> None:
    keys = keys_beside_options(kind)
    assert {key.name for key in keys} == RESERVED[kind]
    assert all(key.description and key.type for key in keys)
    assert [key.name for key in keys if key.required] == ["use"]


def test_a_tower_is_described_in_words() -> None:
    keys = {key.name: key for key in keys_beside_options("image_encoder")}
    assert (keys["freeze"].type, keys["freeze"].default) == ("'all' | 'encoder' | int, ≥ 0", 0)
    assert (keys["head"].type, keys["head"].default) == ("'linear' | 'mlp' | 'none', or a mapping with `use`", "linear")
    assert (keys["layer_decay"].type, keys["layer_decay"].default) == ("float, > 0, ≤ 1", 1.0)


def test_other_kinds_have_none() -> None:
    assert keys_beside_options("tokenizer") == ()
