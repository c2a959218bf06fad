"""LAMB against its definition, in one piece and under every ZeRO stage."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.engine.lamb import Lamb
from vlc_core.engine.optimizer import make_optimizer, parameter_groups, set_rate
from vlc_core.recipe.schema import Optimizer
from vlc_core.testing.ranks import run_on_ranks

MIX = ["clip", "sigmoid", "labelled"]
SAID = {"use": "lamb", "lr": 2e-2, "weight_decay": 0.1, "betas": [0.9, 0.98]}
BETAS, EPS, DECAY = (0.8, 0.95), 1e-3, 0.3


def naive(x: Tensor, gradients: list[Tensor], *, rate: float, decay: float, adapts: bool) -> Tensor:
    """Algorithm 2 of arXiv 1904.00962, number by number."""
    values, m, v = (list(t) for t in (x.flatten().tolist(), [0.0] * x.numel(), [0.0] * x.numel()))
    for t, gradient in enumerate(gradients, start=1):
        update = []
        for i, g in enumerate(gradient.flatten().tolist()):
            m[i] = BETAS[0] * m[i] + (1 - BETAS[0]) * g
            v[i] = BETAS[1] * v[i] + (1 - BETAS[1]) * g * g
            corrected = m[i] / (1 - BETAS[0] ** t), v[i] / (1 - BETAS[1] ** t)
            update.append(corrected[0] / (corrected[1] ** 0.5 + EPS) + decay * values[i])
        long, wide = (sum(n * n for n in numbers) ** 0.5 for numbers in (values, update))
        ratio = long / wide if adapts and long > 0 and wide > 0 else 1.0
        values = [n - rate * ratio * u for n, u in zip(values, update, strict=True)]
    return torch.tensor(values, dtype=torch.float64).view_as(x)


def test_it_takes_the_steps_of_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"matrix": (3, 4), "kernel": (2, 3, 2), "zero": (2, 2), "still": (3, 2), "bias": (5,), "scale": (1,)}
    starts = {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in shapes.items()}
    starts["zero"].zero_()
    gradients = {
        k: [torch.randn(s, generator=generator, dtype=torch.float64) for _ in range(4)] for k, s in shapes.items()
    }
    gradients["still"] = [torch.zeros(3, 2, dtype=torch.float64)] * 4
    held = {k: torch.nn.Parameter(x.clone()) for k, x in starts.items()}
    plain = {"bias", "scale"}
    groups: list[dict[str, Any]] = [
        {"params": [p for k, p in held.items() if k not in plain | {"still"}], "weight_decay": DECAY},
        {"params": [held["still"]], "weight_decay": 0.0},
        {"params": [held[k] for k in plain], "weight_decay": 0.0, "adapts": False},
    ]
    optimizer = Lamb(groups, lr=0.1, betas=BETAS, eps=EPS)
    for step in range(4):
        for name, parameter in held.items():
            parameter.grad = gradients[name][step].clone()
        optimizer.step()
    for name, start in starts.items():
        decay = 0.0 if name in plain | {"still"} else DECAY
        expected = naive(start, gradients[name], rate=0.1, decay=decay, adapts=name not in plain)
        torch.testing.assert_close(held[name].detach(), expected, rtol=1e-12, atol=1e-14, msg=name)
    assert torch.equal(held["still"].detach(), starts["still"])


def test_a_parameter_without_a_gradient_stays() -> None:
    moved, left = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    optimizer = Lamb([{"params": [moved, left]}], lr=0.1)
    moved.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(left.detach(), torch.ones(2, 2))
    assert not torch.equal(moved.detach(), torch.ones(2, 2))
    assert left not in optimizer.state


def test_a_matrix_steps_in_proportion_to_its_length() -> None:
    """The first step of a weight without decay is rate · ‖x‖ long, whatever the gradient."""
    for size in (1e-3, 1.0, 1e3):
        weight = torch.nn.Parameter(size * torch.ones(4, 4))
        weight.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
        before = weight.detach().clone()
        Lamb([{"params": [weight]}], lr=0.01, weight_decay=0.0).step()
        assert (weight.detach() - before).norm() / before.norm() == pytest.approx(0.01, rel=1e-3)


def test_a_recipe_gets_it_with_rates_of_its_own(small: ModuleType) -> None:
    made = small.model(["clip"])
    optimizer = make_optimizer(parameter_groups(made, 0.1), Optimizer.model_validate(SAID, strict=False))
    assert isinstance(optimizer, Lamb)
    assert [(group["adapts"], group["weight_decay"]) for group in optimizer.param_groups] == [(True, 0.1), (False, 0.0)]
    set_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}
    assert type(make_optimizer(parameter_groups(made, 0.1), Optimizer())) is torch.optim.AdamW


@pytest.fixture(scope="module")
def plain(engines: ModuleType) -> Any:
    """Stage 0, in one piece."""
    return engines.trained(MIX, 4, {"optimizer": SAID})


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_every_stage_takes_the_steps_of_stage_0(engines: ModuleType, plain: Any, stage: int) -> None:
    engines.agree(engines.trained(MIX, 4, {"stage": stage, "optimizer": SAID}), plain, 2e-5)


def test_it_is_not_adam(engines: ModuleType, plain: Any) -> None:
    adam = engines.trained(MIX, 4, {"optimizer": {**SAID, "use": "adamw"}})
    weights = [run[1]["towers.text.head.weight"] for run in (adam, plain)]
    assert (weights[0] - weights[1]).abs().max() > 1e-3


def test_two_ranks_take_the_steps_of_one(engines: ModuleType, plain: Any) -> None:
    """A parameter's norm is that of all its pieces, wherever the cut between the ranks falls."""
    cases = [{"stage": stage, "optimizer": SAID} for stage in (0, 1, 2, 3)]
    for rank in run_on_ranks(engines.train_on_rank, 2, MIX, 4, cases):
        for found in rank:
            engines.agree(found, plain, 2e-5)


@pytest.mark.parametrize(("stage", "then"), [(0, 0), (0, 3), (2, 1)])
def test_a_run_goes_on_where_it_stood(engines: ModuleType, plain: Any, stage: int, then: int) -> None:
    trainer = engines.Trainer(MIX, stage=stage, optimizer=SAID)
    first = trainer.run(2)
    other = engines.resumed(MIX, *trainer.saved(), 2, stage=then, optimizer=SAID)
    engines.agree([first + other.run(2, first=2), *other.saved()], plain, 2e-5)
