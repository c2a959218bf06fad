"""A twin is an average over a module's past; it owns what it holds and nothing of what it follows."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vlc_core.errors import VlcError
from vlc_core.momentum import MomentumTwin


def module(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(dropout), nn.Linear(4, 2, bias=False))


def test_it_starts_equal_and_owns_its_parameters_alone():
    followed = module()
    twin = MomentumTwin(followed, 0.9)
    mine, theirs = list(twin.parameters()), list(followed.parameters())
    assert [p.shape for p in mine] == [p.shape for p in theirs]
    for ours, other in zip(mine, theirs, strict=True):
        assert torch.equal(ours, other)
        assert ours.data_ptr() != other.data_ptr()
        assert not ours.requires_grad
        assert other.requires_grad


def test_it_moves_as_the_formula_says():
    followed = module()
    twin = MomentumTwin(followed, 0.9)
    expected = [p.detach().double().clone() for p in followed.parameters()]
    for _ in range(5):
        with torch.no_grad():
            for parameter in followed.parameters():
                parameter += torch.randn_like(parameter)
        expected = [0.9 * e + 0.1 * p.detach().double() for e, p in zip(expected, followed.parameters(), strict=True)]
        twin.update()
    for ours, other in zip(twin.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.double(), other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("momentum", "who"), [(0.0, "module"), (1.0, "start")])
def test_the_ends_of_its_range(momentum: float, who: str):
    followed = module()
    start = [p.detach().clone() for p in followed.parameters()]
    twin = MomentumTwin(followed, momentum)
    with torch.no_grad():
        for parameter in followed.parameters():
            parameter.add_(1.0)
    twin.update()
    for ours, then, now in zip(twin.parameters(), start, followed.parameters(), strict=True):
        torch.testing.assert_close(ours, now.detach() if who == "module" else then, rtol=0, atol=1e-6)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_other_momenta_are_refused(momentum: float):
    with pytest.raises(ValueError, match="momentum is within 0…1"):
        MomentumTwin(module(), momentum)


def test_buffers_are_the_modules():
    followed = module()
    twin = MomentumTwin(followed, 0.9)
    followed(torch.randn(8, 3))
    twin.update()
    for name, buffer in followed.named_buffers():
        assert torch.equal(dict(twin.copied.named_buffers())[name], buffer), name


def test_it_gives_no_gradient_and_no_dropout_unless_it_draws():
    followed, x = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)).train(), torch.randn(64, 3)
    still, drawing = MomentumTwin(followed), MomentumTwin(followed, draws=True)
    for twin in (still, drawing):
        twin.train()
        assert not twin(x).requires_grad
    assert torch.equal(still(x), still(x))
    assert not torch.equal(drawing(x), drawing(x))
    drawing.eval()
    assert torch.equal(drawing(x), still(x))


def test_it_is_kept_in_float32():
    followed = nn.Linear(3, 2).to(torch.bfloat16)
    twin = MomentumTwin(followed, 0.5)
    with torch.no_grad():
        followed.weight.add_(2.0)
    before = next(twin.parameters()).clone()
    twin.update()
    after = next(twin.parameters())
    assert after.dtype == torch.float32
    torch.testing.assert_close(after, (before + followed.weight.float()) / 2)
    assert followed.weight.dtype == torch.bfloat16


def test_its_state_can_be_saved_and_put_back():
    twin = MomentumTwin(module(), 0.9)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    other = MomentumTwin(module(), 0.9)
    other.load_state_dict(copy.deepcopy(twin.state_dict()))
    for ours, theirs in zip(other.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_module_that_has_grown_is_refused():
    followed = module()
    twin = MomentumTwin(followed)
    followed.add_module("more", nn.Linear(2, 2))
    with pytest.raises(VlcError, match=r"cannot follow its module: one of them alone has more\."):
        twin.update()
