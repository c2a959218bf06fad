"""The temperature gives its scale, however it is learned."""

from __future__ import annotations

import math

import pytest
import torch

from vlc_core.model.temperature import Temperature


@pytest.mark.parametrize("learn_as", ["log_scale", "temperature"])
def test_the_scale_is_one_over_the_temperature(learn_as):
    made = Temperature(init=0.07, learn_as=learn_as)
    assert made().shape == (1,)
    assert made().item() == pytest.approx(1 / 0.07, rel=1e-6)


@pytest.mark.parametrize(("learn_as", "slope"), [("log_scale", 4.0), ("temperature", -16.0)])
def test_what_is_learned_has_the_gradient_of_its_own_kind(learn_as, slope):
    made = Temperature(init=0.25, learn_as=learn_as)
    made().sum().backward()  # d(1/τ)/d ln(1/τ) = 1/τ; d(1/τ)/dτ = −1/τ²
    assert made.value.grad.item() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("learn_as", ["log_scale", "temperature"])
def test_bounds_are_in_order_and_bound_the_scale(learn_as):
    made = Temperature(init=0.05, min=0.01, max=0.5, learn_as=learn_as)
    assert made.low < made.value.item() < made.high
    scales = []
    for bound in (made.low, made.high):
        with torch.no_grad():
            made.value.fill_(bound)
        scales.append(made().item())
    assert sorted(scales) == pytest.approx([2.0, 100.0], rel=1e-5)


def test_a_fixed_temperature_has_no_gradient():
    made = Temperature(learn=False)
    assert not made.value.requires_grad
    assert not made().requires_grad
    assert made().item() == pytest.approx(math.exp(math.log(1 / 0.07)), rel=1e-6)
