"""A step computes each feature once, when it is first asked for."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest
import torch

from vlc_core.interfaces.objective import Needs
from vlc_core.model.towers import Features
from vlc_core.step import Step


@pytest.fixture
def counted(small: ModuleType):
    """Towers, and how often each part of them has run."""
    towers, calls = small.model(["clip"]).towers, Counter()
    for name in ("image", "text", "temperature"):
        getattr(towers, name).register_forward_hook(lambda *_, n=name: calls.update([n]))
    return towers, calls


def test_nothing_is_computed_that_nobody_asks_for(small: ModuleType, counted):
    towers, calls = counted
    step = Step(towers, small.batch(), seed=3, progress=0.5)
    assert (len(step), step.seed, step.progress) == (12, 3, 0.5)
    assert step.labels.shape == step.groups.shape == step.numbers.shape == (12,)
    assert not calls
    assert step.text is step.text
    assert calls == {"text": 1}


def test_every_feature_is_computed_once(small: ModuleType, counted):
    towers, calls = counted
    step = Step(towers, small.batch())
    for _ in range(3):
        assert step.image is step.view(0)
        assert step.view(1) is not step.view(0)
        assert step.scale is step.scale
        step.encode(Needs(views=2))
    assert calls == {"image": 2, "text": 1, "temperature": 1}


def test_features_come_in_a_fixed_order(small: ModuleType, counted):
    towers, _ = counted
    step = Step(towers, small.batch())
    text = step.text
    assert step.encode(Needs(views=2)) == (step.view(0), step.view(1), text)


def test_given_features_are_taken_as_they_are(small: ModuleType, counted):
    towers, calls = counted
    given = Features(torch.zeros(12, 5), torch.zeros(12, 6))
    step = Step(towers, small.batch(), views={0: given}, text=given, scale=torch.ones(1))
    assert step.image is given
    assert step.text is given
    assert step.scale.item() == 1
    assert not calls
