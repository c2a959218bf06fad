"""What is written reads back as the same."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_core.recipe.tree import Mark
from vlc_core.recipe.write import dump
from vlc_core.recipe.yaml import parse

ODD = ["", "~", "no", "on", "1e-3", "1_0", "0o7", "1:30", "2024-01-01", "<<", "=", "true", "null", "- a", "a: b"]
ODDER = ["#", "!x", "${A}", "$$", "&a", "*a", "%", "@", "`", "'", '"', "\t", "\n", " a", "a ", "\x00", "\x85", "\ufeff"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from([*ODD, *ODDER])
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXT, DATA, max_size=5))
def test_round_trip(data: dict[str, object]):
    node = parse(dump(data), Mark("r.yaml", 1, Path("/")))
    assert node is not None
    assert node.plain() == data


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_other_readers_see_the_same_texts(data: dict[str, str]):
    assert yaml.safe_load(dump(data)) == data


def test_order_is_kept_and_nothing_is_shared():
    shared = [1, 2]
    assert dump({"b": shared, "a": shared}) == "b:\n- 1\n- 2\na:\n- 1\n- 2\n"
