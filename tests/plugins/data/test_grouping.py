"""Rows of one image brought together, against a dictionary."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlc_plugin_data import grouping
from vlc_plugin_data.grouping import group_rows

NAMES = st.sampled_from(["", "a", "b", "ab", "ba", "c.jpg", "水", "aa"])  # some with equal sums of bytes


@pytest.mark.parametrize("part", [1, 3, 1_000_000])
@given(chunks=st.lists(st.lists(NAMES, max_size=9), max_size=4), start=st.integers(0, 3))
def test_rows_with_one_name_are_one_group(part: int, chunks: list[list[str]], start: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_PART", part)
        images = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks], pa.string())[start:]
        groups = group_rows(images)
    expected: dict[str, list[int]] = {}
    for row, name in enumerate(images.to_pylist()):
        expected.setdefault(name, []).append(row)
    found = [list(map(int, groups.rows(i))) for i in range(len(groups.starts) - 1)]
    assert found == list(expected.values())
