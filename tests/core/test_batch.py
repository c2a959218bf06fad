"""A batch cut into micro-batches holds the same samples."""

from __future__ import annotations

import pytest
import torch

from vlc_core.batch import Batch, Skipped


def made(lengths: list[int]) -> Batch:
    count, longest = len(lengths), max(*lengths, 1)
    return Batch(
        pixels=torch.arange(2 * count * 3 * 4, dtype=torch.uint8).view(2, count, 3, 2, 2),
        tokens=torch.arange(count * longest).view(count, longest),
        mask=torch.arange(longest) < torch.tensor(lengths)[:, None],
        labels=torch.arange(count),
        groups=torch.arange(count) * 2,
        numbers=torch.arange(count) + 100,
        keys=tuple(map(str, range(count))),
        skipped=(Skipped(3, "source", "key", "reason"),),
        truncated=5,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
def test_its_parts_hold_every_sample_once_and_no_useless_column(size):
    whole = made([3, 1, 5, 2, 4, 2])
    parts = whole.split(size)
    assert sum(map(len, parts)) == len(whole) == 6
    for name in ("labels", "groups", "numbers"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert torch.equal(torch.cat([part.pixels for part in parts], dim=1), whole.pixels)
    assert sum((part.keys for part in parts), ()) == whole.keys
    start = 0
    for part in parts:
        rows = slice(start, start + len(part))
        assert part.mask.any(dim=0).all(), "a column that no text of the part needs"
        width = part.mask.shape[1]
        assert torch.equal(part.tokens, whole.tokens[rows, :width])
        assert torch.equal(part.mask, whole.mask[rows, :width])
        assert not whole.mask[rows, width:].any()
        start += len(part)


def test_what_is_counted_is_counted_once():
    parts = made([3, 1, 5, 2]).split(2)
    assert [len(part.skipped) for part in parts] == [1, 0]
    assert [part.truncated for part in parts] == [5, 0]


def test_texts_without_a_token_keep_a_column():
    assert [part.tokens.shape for part in made([0, 0, 2, 0]).split(2)] == [(2, 1), (2, 2)]


def test_moving_keeps_what_is_no_tensor():
    whole = made([2, 1])
    moved = whole.to(torch.device("meta"))
    assert {
        x.device.type for x in (moved.pixels, moved.tokens, moved.mask, moved.labels, moved.groups, moved.numbers)
    } == {"meta"}
    assert (moved.keys, moved.skipped, moved.truncated) == (whole.keys, whole.skipped, whole.truncated)
    assert whole.pixels.device.type == "cpu"
