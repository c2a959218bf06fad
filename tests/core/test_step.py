"""A step computes each feature once, when it is first asked for."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest
import torch

from vlc_core.interfaces.objective import Needs
from vlc_core.model.towers import Features
from vlc_core.step import Setting, Step


@pytest.fixture
def counted(small: ModuleType):
    """Towers, and how often each part of them has run."""
    towers, calls = small.model(["clip"]).towers, Counter()
    for name in ("image", "text", "temperature"):
        getattr(towers, name).register_forward_hook(lambda *_, n=name: calls.update([n]))
    return towers, calls


def test_nothing_is_computed_that_nobody_asks_for(small: ModuleType, counted):
    towers, calls = counted
    step = Step(Setting(towers, seed=3), small.batch(), progress=0.5)
    assert (len(step), step.seed, step.progress) == (12, 3, 0.5)
    assert step.labels.shape == step.groups.shape == step.numbers.shape == (12,)
    assert not calls
    assert step.text is step.text
    assert calls == {"text": 1}


def test_every_feature_is_computed_once(small: ModuleType, counted):
    towers, calls = counted
    step = Step(Setting(towers, Needs(views=2)), small.batch())
    for _ in range(3):
        assert step.image is step.view(0)
        assert step.view(1) is not step.view(0)
        assert step.scale is step.scale
        step.encode(["image.0", "image.1", "text"])
    assert calls == {"image": 2, "text": 1, "temperature": 1}


def test_features_come_in_a_fixed_order(small: ModuleType, counted):
    towers, _ = counted
    step = Step(Setting(towers, Needs(views=2)), small.batch())
    text = step.text
    names = Setting(towers, Needs(views=2)).student()
    assert list(step.encode(names).items()) == [("image.0", step.view(0)), ("image.1", step.view(1)), ("text", text)]


def test_given_features_are_taken_as_they_are(small: ModuleType, counted):
    towers, calls = counted
    given = Features(torch.zeros(12, 5), torch.zeros(12, 6))
    step = Step(Setting(towers), small.batch(), known={"image.0": given, "text": given}, scale=torch.ones(1))
    assert step.image is given
    assert step.text is given
    assert step.scale.item() == 1
    assert not calls


def test_who_asks_first_without_a_gradient_takes_it_from_nobody(small: ModuleType, counted):
    towers, _ = counted
    step = Step(Setting(towers), small.batch())
    with torch.no_grad():
        first = (step.scale, step.image.embed, step.text.embed)
    assert all(x.requires_grad for x in first)
    with torch.no_grad():
        embedding = Step(Setting(towers), small.batch())
    assert not embedding.scale.requires_grad
    assert not embedding.image.embed.requires_grad
