"""Learning rates at the edges of a run."""

from __future__ import annotations

import math

import pytest

from vlc_core.engine.schedule import rate

USES = ["constant", "linear", "cosine"]


@pytest.mark.parametrize("use", USES)
def test_warm_up_rises_evenly_to_the_peak_and_is_never_zero(use):
    rates = [rate(step, use=use, peak=2.0, warmup=4, steps=20) for step in range(5)]
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])


@pytest.mark.parametrize(("use", "last"), [("constant", 2.0), ("linear", 0.2), ("cosine", 0.2)])
def test_the_last_step_has_the_final_rate(use, last):
    assert rate(19, use=use, peak=2.0, warmup=4, steps=20, final=0.1) == pytest.approx(last)


@pytest.mark.parametrize(("use", "middle"), [("constant", 2.0), ("linear", 1.1), ("cosine", 1.1)])
def test_half_way_down_it_is_half_way(use, middle):
    assert rate(10, use=use, peak=2.0, warmup=0, steps=21, final=0.1) == pytest.approx(middle)
    quarter = {"constant": 2.0, "linear": 1.55, "cosine": 0.2 + 1.8 * (1 + math.cos(math.pi / 4)) / 2}[use]
    assert rate(5, use=use, peak=2.0, warmup=0, steps=21, final=0.1) == pytest.approx(quarter)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("warmup", "steps"), [(0, 1), (1, 1), (5, 5), (4, 5), (9, 5), (0, 2)])
def test_short_runs_stay_within_zero_and_the_peak(use, warmup, steps):
    rates = [rate(step, use=use, peak=2.0, warmup=warmup, steps=steps) for step in range(steps)]
    assert all(0 <= value <= 2.0 and math.isfinite(value) for value in rates), rates
    assert rates[0] > 0


@pytest.mark.parametrize("use", USES)
def test_it_only_falls_after_the_warm_up(use):
    rates = [rate(step, use=use, peak=1.0, warmup=3, steps=50, final=0.05) for step in range(2, 60)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] >= 0.05
