"""A step whose loss or gradient is not finite changes nothing, on no rank, under no ZeRO stage; the next one counts."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.engine.optimizer import adamw, lamb
from vlc_core.testing.ranks import run_on_ranks

MIX = ["clip", "odd", "twinned"]
CASES: list[dict[str, Any]] = [
    {"stage": stage, "micro": micro, "model": {"norm": True}} for stage in range(4) for micro in (None, 3)
]


def check(steps: list[Any]) -> None:
    """That of three steps the second changed nothing but what moves by itself, and the third did."""
    (_, weights, moments), (wrong, same, also), (right, after, later) = steps
    assert not math.isfinite(wrong["loss"]) or not math.isfinite(wrong["norm"])
    assert all(math.isfinite(value) for value in right.values())
    assert also.keys() == moments.keys()
    for name, tensor in also.items():
        torch.testing.assert_close(tensor, moments[name], rtol=0, atol=0, msg=name)
        assert not torch.equal(tensor, later[name]) or not tensor.any(), name
    moved = {name for name in weights if name.startswith("twins.")}  # nearer to the same model, and their queues
    for name in weights.keys() - moved:
        torch.testing.assert_close(same[name], weights[name], rtol=0, atol=0, msg=name)
    assert not torch.equal(same["towers.image.head.weight"], after["towers.image.head.weight"])
    for name in moved:
        assert torch.isfinite(after[name].double()).all(), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"stage {case['stage']}, micro {case['micro']}")
def test_the_step_is_skipped(engines: ModuleType, case: dict[str, Any]):
    check(engines.spoilt(MIX, "picture", case))


@pytest.mark.parametrize("case", [CASES[0], CASES[5]], ids=["stage 0, whole", "stage 2, in parts"])
def test_a_loss_that_is_no_number_skips_too_where_its_gradient_is_finite(engines: ModuleType, case: dict[str, Any]):
    check(engines.spoilt(MIX, "group", case))


def test_all_ranks_skip_what_one_of_them_finds_wrong(engines: ModuleType):
    cases = [{"stage": stage, "micro": None} for stage in range(4)]
    for rank in run_on_ranks(engines.spoilt_on_rank, 2, MIX, "picture", cases):
        for found in rank:
            check(found)


def test_a_norm_statistic_does_not_take_in_what_was_skipped(engines: ModuleType):
    steps = engines.spoilt(MIX, "picture", {"model": {"norm": True}})
    mean, same, after = (weights["towers.image.encoder.norm.running_mean"] for _, weights, _ in steps)
    assert torch.equal(mean, same)
    assert torch.isfinite(after).all()
    assert not torch.equal(mean, after)


@pytest.mark.parametrize("make", [adamw, lamb])
def test_an_optimizer_that_is_told_leaves_all_as_it_is(make: Any):
    weight = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = make([{"params": [weight]}], lr=0.1, betas=(0.9, 0.98), eps=1e-6)

    def step(gradient: float, found: float) -> tuple[Tensor, dict[str, Tensor]]:
        weight.grad = torch.full_like(weight, gradient)
        optimizer.found_inf = torch.tensor(found)
        optimizer.step()
        state = {name: value.clone() for name, value in optimizer.state[weight].items()}
        return weight.detach().clone(), state

    first, moments = step(0.5, 0.0)
    second, same = step(math.nan, 1.0)
    third, _ = step(0.5, 0.0)
    assert torch.equal(first, second)
    assert all(torch.equal(value, same[name]) for name, value in moments.items())
    assert not torch.equal(second, third)
