"""Every ZeRO stage, whole or in micro-batches, takes the same steps; and its state can be taken out and put back."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch

from vlc_core.testing.ranks import run_on_ranks

MIX = ["clip", "sigmoid", "labelled"]
STAGES = [0, 1, 2, 3]


@pytest.fixture(scope="module")
def plain(engines: ModuleType):
    """Stage 0, in one piece."""
    return engines.trained(MIX, 4, {})


@pytest.mark.parametrize("micro", [None, 3])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_takes_the_steps_of_stage_0(engines: ModuleType, plain, stage: int, micro: int | None):
    engines.agree(engines.trained(MIX, 4, {"stage": stage, "micro": micro}), plain)


def test_the_steps_are_those_of_plain_torch(engines: ModuleType, small: ModuleType, plain):
    """AdamW and clipping on the gradients that autograd gives, without DeepSpeed."""
    made = small.model(MIX, dtype=torch.float32)
    matrices = [p for p in made.parameters() if p.dim() >= 2]
    others = [p for p in made.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=2e-2, betas=(0.9, 0.98), eps=1e-6)
    for step in range(4):
        metrics = small.whole_step(made, small.batch(torch.float32, seed=step))
        norm = torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        assert plain[0][step] == pytest.approx(metrics | {"norm": norm.item()}, rel=1e-5)
    for name, parameter in made.named_parameters():
        torch.testing.assert_close(plain[1][name], parameter.detach(), rtol=1e-5, atol=1e-6, msg=name)
    assert max(metrics["norm"] for metrics in plain[0]) > 1.0, "nothing was clipped"


def test_two_ranks_take_the_steps_of_one(engines: ModuleType, plain):
    cases = [
        {"stage": stage, "micro": micro} for stage, micro in [(0, None), (0, 3), (1, 3), (2, None), (3, None), (3, 2)]
    ]
    for rank in run_on_ranks(engines.train_on_rank, 2, MIX, 4, cases):
        for found in rank:
            engines.agree(found, plain, 2e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_put_back_is_what_was_taken_out(engines: ModuleType, stage: int):
    trainer = engines.Trainer(MIX, stage=stage)
    trainer.run(2)
    weights, moments = trainer.saved()
    assert set(moments) == {f"{n}/{k}" for n, _ in trainer.model.named_parameters() for k in ("exp_avg", "exp_avg_sq")}
    other = engines.resumed(MIX, weights, moments, 2, stage=stage)
    for before, after in zip((weights, moments), other.saved(), strict=True):
        assert before.keys() == after.keys()
        for name, tensor in before.items():
            assert torch.equal(tensor, after[name]), name
    assert trainer.run(3, first=2) == other.run(3, first=2), "a resumed run is not the run, to the bit"
    for before, after in zip(trainer.saved(), other.saved(), strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("stage", "then"), [(0, 3), (1, 0), (2, 1), (3, 2)])
def test_a_run_may_go_on_under_another_stage(engines: ModuleType, plain, stage: int, then: int):
    trainer = engines.Trainer(MIX, stage=stage)
    first = trainer.run(2)
    other = engines.resumed(MIX, *trainer.saved(), 2, stage=then)
    engines.agree([first + other.run(2, first=2), *other.saved()], plain, 1e-6 if {stage, then} <= {0, 1} else 1e-5)


def test_state_is_a_copy(engines: ModuleType):
    trainer = engines.Trainer(["clip"])
    before = trainer.saved()
    kept = [{name: tensor.clone() for name, tensor in part.items()} for part in before]
    trainer.run(1)
    for part, copy in zip(before, kept, strict=True):
        assert all(torch.equal(part[name], copy[name]) for name in part)


def test_parameters_that_ranks_do_not_divide_come_back_whole(engines: ModuleType):
    for rank in run_on_ranks(engines.round_trips_on_rank, 2, MIX, [1, 2, 3]):
        for before, after, went_on, resumed in rank:
            for one, other in zip(before, after, strict=True):
                assert all(torch.equal(one[name], other[name]) for name in one)
            scale = before[1]["towers.temperature.value/exp_avg"]
            assert scale.shape == (1,)
            assert scale.abs() > 0
            assert went_on == resumed


@pytest.mark.parametrize("learn_as", ["log_scale", "temperature"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_scale_stays_within_its_bounds(engines: ModuleType, stage: int, learn_as: str):
    from deepspeed.utils import safe_get_full_fp32_param

    options = {"stage": stage, "optimizer": {"lr": 1e3}, "clip_grad_norm": None}
    trainer = engines.Trainer(["clip"], model={"learn_as": learn_as, "min": 0.01, "max": 0.5}, **options)
    for group in trainer.engine.optimizer.param_groups:
        group["lr"] = 1e3 if any(p.numel() <= 1 for p in group["params"]) or group["weight_decay"] == 0 else 0.0
    scales = [metrics["scale"] for metrics in trainer.run(10)]
    assert all(2.0 - 1e-5 <= scale <= 100.001 for scale in scales), scales
    assert any(math.isclose(scale, bound, rel_tol=1e-5) for scale in scales[1:] for bound in (2.0, 100.0)), scales
    temperature = trainer.model.towers.temperature
    copies = [trainer.saved()[0]["towers.temperature.value"]]
    if stage > 0:  # the one that the optimizer updates; it would go on from beyond the bound
        copies.append(safe_get_full_fp32_param(temperature.value))
    for value in copies:
        assert temperature.low - 1e-6 <= value <= temperature.high + 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_bf16_is_autocast_over_single_precision(engines: ModuleType, plain, stage: int):
    found = engines.trained(MIX, 4, {"stage": stage, "precision": "bf16"})
    for mine, theirs in zip(found[0], plain[0], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=3e-2)
        assert mine["loss"] != theirs["loss"], "bf16 changed nothing"
    for part in found[1:]:
        assert {tensor.dtype for tensor in part.values() if tensor.is_floating_point()} == {torch.float32}
    moved = found[1]["towers.temperature.value"] - plain[1]["towers.temperature.value"]
    assert moved.abs() < 0.05


def test_bf16_in_micro_batches_too(engines: ModuleType, plain):
    found = engines.trained(MIX, 4, {"stage": 1, "precision": "bf16", "micro": 4})
    assert [m["loss"] for m in found[0]] == pytest.approx([m["loss"] for m in plain[0]], rel=3e-2)


@pytest.mark.parametrize("stage", STAGES)
def test_a_scale_that_is_not_learned_does_not_move(engines: ModuleType, stage: int):
    trainer = engines.Trainer(["clip"], stage=stage, model={"learn": False})
    assert [metrics["scale"] for metrics in trainer.run(3)] == [pytest.approx(5.0)] * 3
    assert "towers.temperature.value/exp_avg" not in trainer.saved()[1]
    assert trainer.saved()[0]["towers.temperature.value"].exp().item() == pytest.approx(5.0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_gradient_that_is_not_finite_shows_in_the_norm(engines: ModuleType, stage: int):
    """The loss may be finite all the same: only the norm tells, and it must in the same step."""
    trainer = engines.Trainer(["clip"], stage=stage)
    weight = trainer.model.towers.image.encoder.out.bias
    weight.register_hook(lambda gradient: gradient * math.nan)
    (metrics,) = trainer.run(1)
    assert math.isfinite(metrics["loss"])
    assert not math.isfinite(metrics["norm"])


def test_the_norm_is_told_although_nothing_is_clipped(engines: ModuleType, plain):
    for stage in STAGES:
        norm = engines.trained(MIX, 1, {"stage": stage, "clip_grad_norm": None})[0][0]["norm"]
        assert norm == pytest.approx(plain[0][0]["norm"], rel=1e-5), stage
