"""A queue holds the last features that were pushed, with their labels and groups."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlc_core.momentum import NO_GROUP, FeatureQueue


@given(size=st.integers(0, 9), counts=st.lists(st.integers(0, 25), max_size=8))
def test_it_holds_the_last_that_were_pushed(size: int, counts: list[int]):
    queue, every = FeatureQueue(size, 2), torch.zeros(0, 2)
    for count in counts:
        first = len(every)
        new = torch.stack([torch.arange(first, first + count), torch.arange(first, first + count) * 2], dim=1).float()
        queue.push(new, labels=new[:, 0].long(), groups=new[:, 1].long())
        every = torch.cat([every, new])
        held = queue.features[queue.features[:, 0].argsort()]
        assert torch.equal(held, every[max(0, len(every) - size) :])
        assert len(queue) == min(size, len(every))
        assert torch.equal(queue.labels, queue.features[:, 0].long())
        assert torch.equal(queue.groups, queue.features[:, 1].long())


def test_what_is_given_no_label_or_group_has_none():
    queue = FeatureQueue(4, 3)
    queue.push(torch.ones(2, 3), labels=torch.tensor([5, 6]))
    queue.push(torch.ones(3, 3))
    assert sorted(queue.labels.tolist()) == [-1, -1, -1, 6]
    assert queue.groups.tolist() == [NO_GROUP] * 4


def test_features_are_a_view_and_need_no_gradient():
    queue = FeatureQueue(4, 3)
    queue.push(torch.ones(4, 3, requires_grad=True))
    assert not queue.features.requires_grad
    assert queue.features.data_ptr() == queue.store.data_ptr()


def test_it_goes_on_where_its_state_was_saved():
    one, other = FeatureQueue(3, 1), FeatureQueue(3, 1)
    one.push(torch.arange(5.0)[:, None])
    other.push(torch.arange(2.0)[:, None])
    other.load_state_dict(one.state_dict())
    for queue in (one, other):
        queue.push(torch.tensor([[9.0]]))
    assert len(other) == 3
    assert torch.equal(one.store, other.store)


def test_features_of_lower_precision_are_taken():
    queue = FeatureQueue(2, 2)
    queue.push(torch.ones(1, 2, dtype=torch.bfloat16))
    assert queue.features.dtype == torch.float32


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (torch.ones(2, 4), None, r"takes features \(N, 3\); got \(2, 4\)"),
        (torch.ones(2, 3), torch.zeros(3), r"2 features have \(2,\) labels; got \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(features, labels, words: str):
    with pytest.raises(ValueError, match=words):
        FeatureQueue(4, 3).push(features, labels)


@pytest.mark.parametrize(("size", "dim"), [(-1, 3), (3, 0)])
def test_impossible_sizes_are_refused(size: int, dim: int):
    with pytest.raises(ValueError, match="at least"):
        FeatureQueue(size, dim)
